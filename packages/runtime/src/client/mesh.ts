import type { JoinMeshOptions, MeshPeerInfo, MeshRoomHandle, MeshState, OpenMeshOptions } from '../api/mesh.ts';
import type { ModelInfo, ModelService } from '../api/types.ts';
import * as errors from '../mesh/errors.ts';
import { invitationLink, parseInvitation } from '../mesh/invitation.ts';
import { DEFAULT_LIMITS } from '../mesh/limits.ts';
import type { PeerHello } from '../mesh/membership.ts';
import { roomToPort, type RoomPort } from '../mesh/port/room-to-port.ts';
import { joinRoom, openRoom, type Room, type RoomOptions } from '../mesh/room/room.ts';
import { webSocketSignalling } from '../mesh/signalling/websocket.ts';
import { ERROR_CLASSES } from '../port/error-classes.ts';
import { carryErrors } from '../port/errors.ts';

// What the engine's side throws gets its class back on this side.
carryErrors(new Map([...ERROR_CLASSES, ...Object.entries(errors)]));

/** The model that a room is for. */
interface Served {
  readonly service: ModelService;
  readonly info: ModelInfo;
}

/** As `ModelMesh.open`. */
export async function openMesh(served: Served, options: OpenMeshOptions = {}): Promise<MeshRoomHandle> {
  const relay = options.relay ?? relayBeside();
  const page = options.page ?? globalThis.location?.href ?? relay.replace(/^ws/, 'http');
  return attach(served, page, options, (setup) => openRoom(relay, options.signalling ?? webSocketSignalling(relay), { ...setup, ...chosen(options, 'ask', 'maxPeers') }));
}

/** As `ModelMesh.join`. */
export async function joinMesh(served: Served, link: string | URL, options: JoinMeshOptions = {}): Promise<MeshRoomHandle> {
  const invitation = parseInvitation(link);
  return attach(served, link, options, (setup) => joinRoom(invitation, options.signalling ?? webSocketSignalling(invitation.relay), setup));
}

/** Where `npm start` has its relay. */
function relayBeside(): string {
  const url = new URL('gatefold-relay', globalThis.document?.baseURI ?? 'http://localhost:8787/');
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}

async function attach(served: Served, page: string | URL, options: JoinMeshOptions, enter: (setup: RoomOptions) => Promise<Room>): Promise<MeshRoomHandle> {
  const { service, info } = served;
  options.signal?.throwIfAborted();
  const memoryBytes = options.memoryBytes ?? (await service.memory()).expertBytes;
  const hello: PeerHello = {
    name: options.name ?? '',
    kind: typeof document === 'undefined' ? 'node' : 'page',
    modelId: info.modelId,
    modelUrl: options.modelUrl ?? '',
    memoryBytes,
  };
  const room = await enter({ hello, moveFrames: true, ...chosen(options, 'iceServers', 'limits', 'createConnection', 'conditions', 'onWarning', 'signal') });
  const host = room.peers.find(({ name }) => name === room.invitation.room);
  if (host && host.hello.modelId !== info.modelId) {
    room.close();
    throw new errors.MeshModelError(info.modelId, host.hello.modelId, host.hello.modelUrl);
  }
  const { port1, port2 } = new MessageChannel();
  const engine = roomToPort(room, port1, options.limits ?? DEFAULT_LIMITS);
  try {
    await service.attachRoom(port2, { self: room.self, isHost: room.isHost, modelId: info.modelId, memoryBytes, ...chosen(options, 'strategy', 'relays', 'wire', 'checkShare', 'corruptShare') });
    return new RoomHandle(room, engine, page, options);
  } catch (error) {
    room.close();
    throw error;
  }
}

/** Those of the fields that are given. */
function chosen<T extends object, K extends keyof T>(from: T, ...names: readonly K[]): { [N in K]?: Exclude<T[N], undefined> } {
  const picked: { [N in K]?: Exclude<T[N], undefined> } = {};
  for (const name of names) if (from[name] !== undefined) Object.assign(picked, { [name]: from[name] });
  return picked;
}

class RoomHandle implements MeshRoomHandle {
  constructor(
    readonly room: Room,
    readonly engine: RoomPort,
    readonly page: string | URL,
    readonly options: JoinMeshOptions,
  ) {
    room.onChange = () => options.onChange?.(this.peers);
  }

  get self(): string {
    return this.room.self;
  }

  get isHost(): boolean {
    return this.room.isHost;
  }

  get link(): string {
    const { modelUrl = '' } = this.options;
    return invitationLink(this.page, { model: modelUrl, ...this.room.invitation });
  }

  get peers(): readonly MeshPeerInfo[] {
    return this.room.peers.map((peer) => ({ ...peer.hello, peer: peer.name, roundTripMs: median(peer.stats().roundTripsMs) }));
  }

  revokeLink(): string {
    this.room.revokeInvitation();
    return this.link;
  }

  ban(peer: string, reason: string): void {
    this.room.ban(peer, reason);
  }

  state(): Promise<MeshState> {
    return this.engine.state();
  }

  close(): void {
    this.room.close();
    this.engine.close();
  }
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

// Real WebRTC (node-datachannel) and a real relay, in this process.
import { createServer, type Server } from 'node:http';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { WebSocket } from 'ws';
import { Relay, RELAY_LIMITS, type RelayLimits } from '../../../cli/src/relay/relay.ts';
import { parseInvitation, type Invitation } from '../../src/mesh/invitation.ts';
import type { MembershipHandlers, PeerHello, RoomPeer } from '../../src/mesh/membership.ts';
import { joinRoom, openRoom, type Room, type RoomOptions } from '../../src/mesh/room/room.ts';
import type { OpenSignalling } from '../../src/mesh/signalling/signalling.ts';
import { webSocketSignalling } from '../../src/mesh/signalling/websocket.ts';
import type { CreateConnection } from '../../src/mesh/transport/peer-connection.ts';

export const HELLO: PeerHello = { name: 'a test', kind: 'node', modelId: 'model', modelUrl: '', memoryBytes: 1e9 };

export const createConnection: CreateConnection = (configuration) => new RTCPeerConnection(configuration);

export const openSocket = (url: string): WebSocket => new WebSocket(url);

/** For `vi.waitUntil`, whose own patience is a second: the machine may be busy. */
export const PATIENT = { timeout: 60_000 };

export interface RunningRelay {
  readonly relay: Relay;
  readonly url: string;
  close(): Promise<void>;
}

export async function runRelay(limits: Partial<RelayLimits> = {}): Promise<RunningRelay> {
  const relay = new Relay({ ...RELAY_LIMITS, ...limits });
  const server: Server = createServer();
  relay.attach(server, '/relay');
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    relay,
    url: `ws://127.0.0.1:${address.port}/relay`,
    close: () => {
      relay.close();
      return new Promise((done) => server.close(() => done()));
    },
  };
}

/** Opens and joins rooms, and closes all of them. */
export class Rooms {
  readonly #open: Room[] = [];

  constructor(
    readonly url: string,
    readonly signalling: OpenSignalling = webSocketSignalling(url, openSocket),
  ) {}

  async host(options: Partial<RoomOptions> = {}): Promise<Room> {
    return this.#keep(await openRoom(this.url, this.signalling, { hello: HELLO, createConnection, ...options }));
  }

  async join(invitation: Invitation | string, options: Partial<RoomOptions> = {}): Promise<Room> {
    const parsed = typeof invitation === 'string' ? parseInvitation(invitation) : invitation;
    return this.#keep(await joinRoom(parsed, this.signalling, { hello: HELLO, createConnection, ...options }));
  }

  close(): void {
    for (const room of this.#open.splice(0)) room.close();
  }

  #keep(room: Room): Room {
    this.#open.push(room);
    return room;
  }
}

/** What a room tells, to be waited for. */
export class Events {
  readonly joined: RoomPeer[] = [];
  readonly left: { readonly name: string; readonly reason: string }[] = [];
  #wake = () => {};

  constructor(room: { listen(handlers: MembershipHandlers): void }) {
    room.listen({
      onJoin: (peer) => this.#add(() => this.joined.push(peer)),
      onLeave: (name, reason) => this.#add(() => this.left.push({ name, reason })),
    });
  }

  /** Resolves when it holds. */
  async until(condition: (events: this) => boolean): Promise<this> {
    while (!condition(this)) await new Promise<void>((woken) => (this.#wake = woken));
    return this;
  }

  #add(event: () => void): void {
    event();
    this.#wake();
  }
}

/** What comes over a link, to be waited for. */
export class Frames {
  readonly received: Uint8Array<ArrayBuffer>[] = [];
  closed: string | undefined;
  #wake = () => {};

  constructor(link: RoomPeer['link']) {
    link.listen({
      onFrame: (frame) => {
        this.received.push(frame);
        this.#wake();
      },
      onClose: (reason) => {
        this.closed = reason;
        this.#wake();
      },
    });
  }

  async until(condition: (frames: this) => boolean): Promise<this> {
    while (!condition(this)) await new Promise<void>((woken) => (this.#wake = woken));
    return this;
  }
}

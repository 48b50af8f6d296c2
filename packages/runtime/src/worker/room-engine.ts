import type { MeshState, RoomEngineOptions } from '../api/mesh.ts';
import type { GenerateRequest } from '../api/types.ts';
import { MeshNode } from '../engine/experts/mesh-node.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { GenerateOutcome, IdHandlers, Session } from '../engine/session.ts';
import type { Membership, RoomPeer } from '../mesh/membership.ts';
import { MESH_DEFAULTS } from '../mesh/mesh-options.ts';
import type { MemberStatus } from '../mesh/news-frames.ts';
import type { MeshModel } from '../mesh/planner/room.ts';
import { PortMembership } from '../mesh/port/port-membership.ts';
import { ShardExchange } from '../mesh/shards/shard-exchange.ts';
import type { SharingReader } from '../shards/shard.ts';
import { RecentTraffic } from './recent-traffic.ts';
import { meshModel } from './room-picture.ts';
import { RoomPlanner } from './room-planner.ts';

/** How often is looked whether something has changed that others should know. */
const TELL_MS = 2000;

/** What happens while a room's answer comes. */
export interface RoomHandlers extends IdHandlers {
  /** Tokens after these are void; others follow in their place. */
  readonly onRevise?: (kept: readonly number[]) => void;
}

/**
 * Works with the peers of a room whose connections are at the port's other end, until that is closed.
 * @param reader brings experts that are not on the GPU
 */
export async function openRoomEngine(model: LoadedModel, reader: SharingReader, port: MessagePort, options: RoomEngineOptions): Promise<RoomEngine> {
  const { self, isHost, wire = MESH_DEFAULTS.wire, checkShare = MESH_DEFAULTS.checkShare, corruptShare = 0 } = options;
  const node = await MeshNode.open(model, reader, { ...MESH_DEFAULTS, wire, checkShare, corruptShare }, {
    onBan: (peer, reason) => room.ban(peer, reason),
    onNews: (peer, news) => engine.planner.hear(peer, news),
  });
  const room = new PortMembership(port, self, isHost, () => engine.state(), () => engine.close());
  const engine = new RoomEngine(node, meshModel(model.spec, reader.plan, wire), room, reader, options);
  return engine;
}

/** A loaded model in a room: serves others' requests, and has others compute what the plan gives them. */
export class RoomEngine {
  readonly #joined = new Map<string, RoomPeer>();
  readonly #traffic: RecentTraffic;
  readonly planner: RoomPlanner;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Answers under way, the most of them at a time since there were none, and the same of the time before. */
  readonly #answers = { now: 0, most: 0, before: 0 };
  #isClosed = false;

  constructor(
    readonly node: MeshNode,
    readonly model: MeshModel,
    readonly room: Membership,
    readonly reader: SharingReader,
    readonly options: RoomEngineOptions,
  ) {
    this.#traffic = new RecentTraffic(model);
    const { strategy = 'experts', relays = true, memoryBytes } = options;
    this.planner = new RoomPlanner({
      self: room.self,
      memoryBytes,
      model,
      traffic: this.#traffic,
      options: { strategy, relays },
      peers: node.peers,
      status: () => this.#status(),
      onPlan: (plan) => (node.plan = plan),
    });
    this.#timer = setInterval(() => this.planner.tell(), TELL_MS);
    const shards = new Map(reader.plan.shards.map((shard) => [shard.id, shard]));
    const exchange = new ShardExchange(
      async (id) => {
        const shard = shards.get(id);
        return shard && reader.readHere(shard);
      },
      (peer, reason) => node.peers.ban(peer, reason),
    );
    reader.peers = exchange;
    room.listen({
      onJoin: (peer) => {
        if (peer.hello.modelId !== options.modelId) return peer.link.close('it runs another model');
        this.#joined.set(peer.name, peer);
        node.peers.add(peer.link);
        exchange.add(peer.bulk);
        this.planner.join(peer.name, peer.hello.memoryBytes);
      },
      onLeave: (name) => {
        this.#joined.delete(name);
        exchange.remove(name);
        this.planner.leave(name);
      },
    });
  }

  /** As `Session.generate`; exact to the token, whatever peers do. */
  async generate(session: Session, request: GenerateRequest, { onRevise, ...handlers }: RoomHandlers, signal?: AbortSignal): Promise<GenerateOutcome> {
    if (this.#isClosed) return session.generate(request, handlers, signal);
    const given: number[] = [];
    const answers = this.#answers;
    answers.most = Math.max(answers.most, ++answers.now);
    // The first one makes this a tab that is planned for.
    if (answers.before === 0 && answers.most === 1) this.planner.tell();
    try {
      return await this.node.generate(
        session,
        request,
        {
          ...handlers,
          onToken: (event) => {
            given.push(event.id);
            this.#traffic.add(event.experts);
            handlers.onToken?.(event);
          },
          onRevise: (index) => {
            given.length = index;
            onRevise?.(given);
          },
        },
        signal,
      );
    } finally {
      if (--answers.now === 0) [answers.before, answers.most] = [answers.most, 0];
      // By now more is known of what is used and how far the peers are.
      this.planner.replan(true);
    }
  }

  state(): MeshState {
    const { peers } = this.node;
    const { plan } = this.planner;
    return {
      self: this.room.self,
      messagesPerToken: plan?.messagesPerToken ?? 0,
      relays: plan?.strategy === 'experts' ? Array.from(plan.relays, ([peer, through]) => ({ peer, through })) : [],
      holders: plan?.strategy === 'experts' ? plan.layers.map(({ holders }) => holders) : [],
      banned: Array.from(peers.banned, ([peer, reason]) => ({ peer, reason })),
      traffic: peers.names.map((peer) => ({ peer, bytesSent: peers.get(peer)?.bytesSent ?? 0, bytesReceived: peers.get(peer)?.bytesReceived ?? 0 })),
    };
  }

  /** Leaves the room; the model goes on alone. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.planner.close();
    this.reader.peers = undefined;
    this.room.close();
    this.node.dispose();
  }

  #status(): MemberStatus {
    const { most, before } = this.#answers;
    const measured = Array.from(this.#joined, ([name, peer]): [string, number] => [name, median(peer.stats().roundTripsMs) ?? NaN]).filter(([, ms]) => !Number.isNaN(ms));
    return { isHost: this.room.isHost, conversations: Math.max(most, before), roundTripsMs: new Map(measured) };
  }
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

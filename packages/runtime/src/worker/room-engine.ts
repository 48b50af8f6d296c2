import type { MeshState, RoomEngineOptions } from '../api/mesh.ts';
import type { GenerateRequest } from '../api/types.ts';
import { ExpertServer } from '../engine/experts/expert-server.ts';
import { generateInMesh } from '../engine/experts/mesh-answer.ts';
import { MeshExperts } from '../engine/experts/mesh-experts.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { ExpertRunner } from '../engine/experts/paged-experts.ts';
import type { GenerateOutcome, IdHandlers, Session } from '../engine/session.ts';
import { MeshModelError } from '../mesh/errors.ts';
import type { Membership, RoomPeer } from '../mesh/membership.ts';
import { MESH_DEFAULTS } from '../mesh/mesh-options.ts';
import { Peers } from '../mesh/peers.ts';
import { planRoom, type RoomPlan } from '../mesh/planner/plan-room.ts';
import { PortMembership } from '../mesh/port/port-membership.ts';
import type { ShardPlan } from '../shards/shard.ts';
import { meshModel, meshRoom } from './room-picture.ts';

/** What happens while a room's answer comes. */
export interface RoomHandlers extends IdHandlers {
  /** Tokens after these are void; others follow in their place. */
  readonly onRevise?: (kept: readonly number[]) => void;
}

/** Works with the peers of a room whose connections are at the port's other end, until that is closed. Throws `MeshModelError`. */
export function openRoomEngine(model: LoadedModel, shards: ShardPlan, port: MessagePort, options: RoomEngineOptions): RoomEngine {
  const room = new PortMembership(port, options.self, options.isHost, () => engine.state(), () => engine.close());
  const engine = new RoomEngine(model, shards, room, options);
  return engine;
}

/** A loaded model in a room: serves others' requests, and has others compute what the plan gives them. */
export class RoomEngine {
  readonly #mesh: MeshExperts;
  readonly #alone: ExpertRunner;
  readonly #joined = new Map<string, RoomPeer>();
  #plan: RoomPlan | undefined;
  #isClosed = false;

  constructor(
    readonly model: LoadedModel,
    readonly shards: ShardPlan,
    readonly room: Membership,
    readonly options: RoomEngineOptions,
  ) {
    const { context, paged } = model;
    if (!paged) throw new MeshModelError('it has no experts, or was loaded without a GPU budget. Load an MoE model with gpuBudget ("100%" keeps all experts that came)');
    const { wire = MESH_DEFAULTS.wire, checkShare = MESH_DEFAULTS.checkShare } = options;
    // The server's experts are those of the mesh, which needs the peers first.
    const peers: Peers = new Peers(
      model.spec.hiddenSize,
      { ...MESH_DEFAULTS, wire, checkShare },
      { answer: (request, peer) => server.answer(request, peer), forget: (peer, conversation) => server.forget(peer, conversation) },
      { onBan: (peer, reason) => room.ban(peer, reason) },
    );
    this.#mesh = new MeshExperts(context, paged, peers);
    const server = new ExpertServer(this.#mesh.compute);
    this.#alone = paged;
    context.paged = this.#mesh;
    room.listen({
      onJoin: (peer) => {
        this.#joined.set(peer.name, peer);
        peers.add(peer.link);
        this.#replan();
      },
      onLeave: (name) => {
        this.#joined.delete(name);
        this.#replan();
      },
    });
  }

  /** As `Session.generate`; exact to the token, whatever peers do. */
  generate(session: Session, request: GenerateRequest, { onRevise, ...handlers }: RoomHandlers, signal?: AbortSignal): Promise<GenerateOutcome> {
    if (this.#isClosed) return session.generate(request, handlers, signal);
    const given: number[] = [];
    return generateInMesh(
      this.#mesh,
      session,
      request,
      {
        ...handlers,
        onToken: (event) => {
          given.push(event.id);
          handlers.onToken?.(event);
        },
        onRevise: (index) => {
          given.length = index;
          onRevise?.(given);
        },
      },
      signal,
    );
  }

  state(): MeshState {
    const { peers } = this.#mesh;
    const plan = this.#plan?.tabs.get(this.room.self)?.plan;
    return {
      self: this.room.self,
      holders: plan?.strategy === 'experts' ? plan.layers.map(({ holders }) => holders) : [],
      banned: Array.from(peers.banned, ([peer, reason]) => ({ peer, reason })),
      traffic: peers.names.map((peer) => ({ peer, bytesSent: peers.get(peer)?.bytesSent ?? 0, bytesReceived: peers.get(peer)?.bytesReceived ?? 0 })),
    };
  }

  /** Leaves the room; the model goes on alone. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.model.context.paged = this.#alone;
    this.room.close();
    this.#mesh.dispose();
  }

  #replan(): void {
    const model = meshModel(this.model.spec, this.shards, this.#mesh.peers.options.wire);
    const room = meshRoom(this.room.self, this.options.memoryBytes, [...this.#joined.values()]);
    this.#plan = planRoom(model, room, { uses: [] }, { strategy: 'experts' }, this.#plan);
    const plan = this.#plan.tabs.get(this.room.self)?.plan;
    this.#mesh.plan = plan?.strategy === 'experts' ? plan : undefined;
  }
}

import type { ExpertName, GenerateRequest } from '../../api/types.ts';
import type { Whereabouts } from '../../mesh/frames.ts';
import type { MeshOptions } from '../../mesh/mesh-options.ts';
import { Peers, type PeersEvents } from '../../mesh/peers.ts';
import { PassServer } from '../../mesh/pass-server.ts';
import type { LayersRequest, Request, RequestHandler } from '../../mesh/peer.ts';
import { HOME, type ExpertsPlan, type MeshPlan } from '../../mesh/plan-types.ts';
import { PartMemory } from '../../residency/part-memory.ts';
import type { ShardReader } from '../../shards/shard.ts';
import type { LoadedModel } from '../loaded-model.ts';
import type { Session } from '../session.ts';
import { ExpertHolder } from './expert-holder.ts';
import { ExpertServer } from './expert-server.ts';
import { LayerServer } from './layer-server.ts';
import { generateInMesh, type MeshAnswerHandlers, type MeshOutcome } from './mesh-answer.ts';
import { MeshExperts } from './mesh-experts.ts';
import { MeshLayers } from './mesh-layers.ts';
import type { PagedExperts } from './paged-experts.ts';

/** A model as a member of a room: its sessions are helped by peers, as the plan says, and it does what peers ask. */
export class MeshNode implements RequestHandler {
  readonly peers: Peers;
  readonly experts: MeshExperts;
  readonly layers: MeshLayers;
  readonly expertServer: ExpertServer;
  readonly layerServer: LayerServer;
  readonly passServer: PassServer;
  /** Sessions that do not have all they know of their past themselves. */
  readonly #elsewhere = new WeakSet<Session>();
  readonly #holder: ExpertHolder;
  /** What it has on the GPU beside the model. */
  readonly memory: PartMemory;
  #plan: MeshPlan | undefined;
  #answers = 0;
  #left = false;

  private constructor(
    readonly model: LoadedModel,
    readonly paged: PagedExperts,
    reader: ShardReader,
    options: MeshOptions,
    events: PeersEvents,
  ) {
    const { context } = model;
    const memory = new PartMemory(context.memory);
    this.memory = memory;
    this.#holder = new ExpertHolder(model, reader);
    this.peers = new Peers(context.spec.hiddenSize, options, this, events);
    this.experts = new MeshExperts(context, memory, paged, this.peers);
    this.layers = new MeshLayers(context, memory, paged, this.peers);
    this.expertServer = new ExpertServer(this.experts.compute, (work) => this.experts.exchange.relay(work));
    this.layerServer = new LayerServer(context, memory, paged);
    this.passServer = new PassServer(this.peers, async (work, origin) => this.#corrupted(await this.layerServer.run(work, origin)));
    this.#adopt();
  }

  /** @param reader brings experts that are asked for and not on the GPU */
  static async open(model: LoadedModel, reader: ShardReader, options: MeshOptions, events: PeersEvents = {}): Promise<MeshNode> {
    const node = new MeshNode(model, await model.paging(reader), reader, options, events);
    await node.experts.compute.prepare();
    return node;
  }

  get plan(): MeshPlan | undefined {
    return this.#plan;
  }

  /** Taken up at the next layer step; another strategy when no answer is under way. */
  set plan(plan: MeshPlan | undefined) {
    this.#plan = plan;
    this.#adopt();
    if (plan?.strategy === 'experts') this.#announce(plan);
  }

  /** As `Session.generate`, in the room. */
  async generate(session: Session, request: GenerateRequest, handlers: MeshAnswerHandlers, signal?: AbortSignal): Promise<MeshOutcome> {
    this.#answers++;
    try {
      const runner = this.model.context.paged === this.layers ? this.layers : this.experts;
      if (runner === this.experts && this.#elsewhere.delete(session)) session.forget(0);
      if (runner === this.layers) this.#elsewhere.add(session);
      return await generateInMesh(runner, session, request, handlers, signal);
    } finally {
      this.#answers--;
      this.#adopt();
    }
  }

  async answer(request: Request, peer: string): Promise<Float32Array<ArrayBuffer>> {
    return this.#corrupted(await this.expertServer.answer(request, peer));
  }

  pass(request: LayersRequest, peer: string): Promise<void> {
    return this.passServer.take(request, peer);
  }

  where(pass: number, peer: string): Whereabouts {
    return this.passServer.where(pass, peer);
  }

  forget(peer: string, conversation?: number): void {
    this.expertServer.forget(peer, conversation);
    this.layerServer.forget(peer, conversation);
  }

  hold(experts: readonly ExpertName[]): void {
    this.#holder.hold(experts);
  }

  /** Leaves the room; sessions go on alone. What it took of the GPU is given back when nothing runs on it any more. */
  dispose(): void {
    this.#left = true;
    this.#plan = undefined;
    this.peers.close();
    this.#adopt();
  }

  /** Everybody learns what it will be asked for, best holders first: what comes first finds a free slot. */
  #announce({ layers }: ExpertsPlan): void {
    const wanted = new Map<string, ExpertName[]>();
    const most = Math.max(0, ...layers.flatMap(({ holders }) => holders.map(({ length }) => length)));
    for (let place = 0; place < most; place++) {
      for (const { layer, holders } of layers) {
        for (const [expert, names] of holders.entries()) {
          const name = names[place];
          if (name === undefined) continue;
          const experts = wanted.get(name);
          if (experts) experts.push({ layer, expert });
          else wanted.set(name, [{ layer, expert }]);
        }
      }
    }
    for (const [name, experts] of wanted) {
      if (name === HOME) this.hold(experts);
      else this.peers.get(name)?.announce(experts);
    }
  }

  /** To try others' checks. */
  #corrupted(rows: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
    return Math.random() < (this.peers.options.corruptShare ?? 0) ? rows.map((value) => value * 1.05) : rows;
  }

  #adopt(): void {
    const plan = this.#plan;
    const { context, isPaged } = this.model;
    const runner = plan?.strategy === 'layers' ? this.layers : this.experts;
    if (this.#answers > 0 && (this.#left || runner !== context.paged)) return this.#follow(undefined);
    if (!this.#left) {
      context.paged = runner;
      return this.#follow(plan);
    }
    this.#follow(undefined);
    // Another room may have been entered meanwhile.
    if (context.paged === this.experts || context.paged === this.layers) context.paged = isPaged ? this.paged : undefined;
    void Promise.all([this.experts.settled(), this.experts.compute.idle(), this.layerServer.idle()]).then(() => this.memory.destroyAll());
  }

  #follow(plan: MeshPlan | undefined): void {
    this.experts.exchange.plan = plan?.strategy === 'experts' ? plan : undefined;
    this.layers.plan = plan?.strategy === 'layers' ? plan : undefined;
  }
}

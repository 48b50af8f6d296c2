import type { LayersWork } from '../../mesh/frames.ts';
import { RefusedError } from '../../mesh/peer.ts';
import type { LayerRange } from '../../mesh/plan-types.ts';
import type { GpuMemory } from '../../residency/gpu-memory.ts';
import { forwardPlan, type ForwardPlan } from '../forward.ts';
import { Mutex } from '../mutex.ts';
import { PlanContext } from '../plan-context.ts';
import { readNow } from '../hasten.ts';
import { SessionBuffers } from '../session-buffers.ts';
import type { PagedExperts } from './paged-experts.ts';

/** Conversations of all peers whose keys and values are kept; the one that was used longest ago goes first. */
const MOST_CONVERSATIONS = 8;

/** A peer's conversation, as far as the layers go that it runs here. */
interface Conversation {
  readonly buffers: SessionBuffers;
  readonly plan: ForwardPlan;
  /** Positions that have run. */
  length: number;
}

/** Runs whole layers for peers, and keeps what these layers know of each conversation. */
export class LayerServer {
  readonly #turns = new Mutex();
  readonly #conversations = new Map<string, Conversation>();
  /** Scratch of its own: a pass of this tab may be under way. Made at the first request. */
  #own: { readonly context: PlanContext; readonly staging: GPUBuffer } | undefined;

  constructor(
    readonly context: PlanContext,
    readonly memory: GpuMemory,
    readonly paged: PagedExperts,
  ) {}

  /**
   * The residual stream after the first layers of the work's route, [tokens, d]. Throws `RefusedError` where what came before is not
   * known here.
   * @param origin whose conversation it is
   */
  run(work: LayersWork, origin: string): Promise<Float32Array<ArrayBuffer>> {
    const { spec, chunk, contextLength } = this.context;
    const { route, start, tokens } = work;
    const [range] = route;
    if (!range || range.first >= range.end || range.end > spec.layers.length || tokens > chunk || start + tokens > contextLength) return Promise.reject(new RefusedError(origin, 'failed'));
    return this.#turns.run(() => this.#run(work, range, origin));
  }

  forget(peer: string, conversation?: number): void {
    const keys = conversation === undefined ? [...this.#conversations.keys()].filter((key) => key.startsWith(`${peer} `)) : [keyOf(peer, conversation)];
    void this.#turns.run(async () => {
      for (const key of keys) this.#drop(key);
    });
  }

  /** Resolves when what has been asked for so far is done. */
  idle(): Promise<void> {
    return this.#turns.run(async () => {});
  }

  async #run({ conversation, start, tokens, x }: LayersWork, { first, end }: LayerRange, origin: string): Promise<Float32Array<ArrayBuffer>> {
    const { context, staging } = this.#scratch();
    const { device } = context.memory;
    const state = await this.#state(keyOf(origin, conversation), start, origin);
    state.length = start;
    device.queue.writeBuffer(state.buffers.batch, 0, Uint32Array.of(start, tokens));
    device.queue.writeBuffer(context.scratch.x, 0, x);
    const stages = (tokens === 1 ? state.plan.decode : state.plan.prefill).slice(first + 1, end + 1);
    // Submitted before anybody else may take the experts away.
    await this.paged.turns.run(async () => {
      const encoder = await this.paged.run({ stages, size: { tokens, context: start + tokens } });
      encoder.copyBufferToBuffer(context.scratch.x, 0, staging, 0, x.byteLength);
      device.queue.submit([encoder.finish()]);
    });
    const rows = new Float32Array(await readNow(device, staging, x.byteLength));
    state.length = start + tokens;
    return rows;
  }

  #scratch(): { readonly context: PlanContext; readonly staging: GPUBuffer } {
    const { memory } = this;
    const { shaders, spec, weights, contextLength, chunk, ropeFactors } = this.context;
    this.#own ??= {
      context: new PlanContext(shaders, memory, spec, weights, contextLength, chunk, ropeFactors, this.paged),
      staging: memory.create('mesh.layers', chunk * spec.hiddenSize * 4, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
    };
    return this.#own;
  }

  /** What is known of a conversation; it becomes the last one to go. */
  async #state(key: string, start: number, peer: string): Promise<Conversation> {
    let state = this.#conversations.get(key);
    if (start > (state?.length ?? 0)) throw new RefusedError(peer, 'no-state');
    if (!state) {
      const { context } = this.#scratch();
      for (const oldest of this.#conversations.keys()) if (this.#conversations.size >= MOST_CONVERSATIONS) this.#drop(oldest);
      const buffers = new SessionBuffers(context.memory, context.spec, context.contextLength, context.chunk, context.cacheType);
      state = { buffers, plan: await forwardPlan(context, buffers), length: 0 };
    }
    this.#conversations.delete(key);
    this.#conversations.set(key, state);
    return state;
  }

  #drop(key: string): void {
    this.#conversations.get(key)?.buffers.destroy();
    this.#conversations.delete(key);
  }
}

const keyOf = (peer: string, conversation: number) => `${peer} ${conversation}`;

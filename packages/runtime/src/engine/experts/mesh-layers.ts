import { AnswerLedger } from '../../mesh/answer-ledger.ts';
import { askLayers } from '../../mesh/layer-exchange.ts';
import type { Peers } from '../../mesh/peers.ts';
import type { LayerRange, LayersPlan } from '../../mesh/plan-types.ts';
import { noCounts } from '../counts.ts';
import { DeviceLostError } from '../errors.ts';
import type { ForwardPlan } from '../forward.ts';
import { Mutex } from '../mutex.ts';
import type { PlanContext } from '../plan-context.ts';
import type { Stage } from '../plan.ts';
import type { MeshRunner } from './mesh-answer.ts';
import type { ExpertRunner, PagedExperts, PagedRun } from './paged-experts.ts';
import type { ExpertResidency } from '../../residency/expert-residency.ts';
import type { GpuMemory } from '../../residency/gpu-memory.ts';

/** A session's layers as they are spread. */
interface Conversation {
  readonly id: number;
  /** Which the ranges were taken from. */
  plan: LayersPlan | undefined;
  /** Who knows what came before. */
  ranges: readonly LayerRange[];
  ledger: AnswerLedger | undefined;
}

/**
 * Runs stages of a model whose layers are spread over a room: a pass visits each peer once, with the residual stream.
 * A peer keeps its layers' keys and values, so that where one is lost the conversation begins again, without it.
 */
export class MeshLayers implements ExpertRunner, MeshRunner {
  readonly turns = new Mutex();
  readonly #staging: GPUBuffer;
  readonly #conversations = new WeakMap<readonly Stage[], Conversation>();
  #nextId = 1;
  plan: LayersPlan | undefined;

  constructor(
    readonly context: PlanContext,
    memory: GpuMemory,
    readonly paged: PagedExperts,
    readonly peers: Peers,
  ) {
    const { chunk, spec } = context;
    this.#staging = memory.create('mesh.stream', chunk * spec.hiddenSize * 4, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  }

  get residency(): ExpertResidency {
    return this.paged.residency;
  }

  /** Where layers are spread, or were, no pass runs in one go. */
  get confident(): boolean {
    return false;
  }

  confirm(choices: readonly (readonly number[])[], version: number): boolean {
    return this.paged.confirm(choices, version);
  }

  repair(choices: readonly (readonly number[])[], options: Pick<PagedRun, 'counts' | 'signal'>): Promise<boolean> {
    return this.paged.repair(choices, options);
  }

  begin({ prefill, decode }: ForwardPlan): AnswerLedger {
    const ledger = new AnswerLedger();
    const conversation = this.#conversations.get(prefill) ?? { id: this.#nextId++, plan: undefined, ranges: [], ledger };
    conversation.ledger = ledger;
    for (const stages of [prefill, decode]) this.#conversations.set(stages, conversation);
    this.peers.begin(ledger);
    return ledger;
  }

  end({ prefill }: ForwardPlan, ledger: AnswerLedger): void {
    const conversation = this.#conversations.get(prefill);
    if (conversation) conversation.ledger = undefined;
    this.peers.end(ledger);
  }

  /** Nothing is checked here: home lacks what a peer's layers know. */
  async settled(): Promise<void> {}

  /** Returns an encoder that ends with the last stage's steps, not submitted yet. Throws `RevisionError`, and as `ExpertResidency.admit`. */
  async run(what: PagedRun): Promise<GPUCommandEncoder> {
    const conversation = this.#conversations.get(what.stages);
    const ledger = conversation?.ledger;
    const start = what.size.context - what.size.tokens;
    let at = 0;
    if (conversation && ledger) {
      this.#follow(conversation, ledger, start);
      ledger.check();
      for (const range of conversation.ranges) {
        await this.#runHere(what, at, range.first + 1);
        await this.#runThere(what, conversation, range, ledger);
        at = range.end + 1;
      }
      if (conversation.ranges.length > 0 && what.size.tokens === 1) ledger.counts.decodeTokens++;
    }
    await this.#runHere(what, at, what.stages.length);
    return this.context.memory.device.createCommandEncoder();
  }

  /**
   * Takes up a new plan, or does without peers that have failed. Peers know only what has gone through them: in the
   * middle of a conversation both go back to its start.
   */
  #follow(conversation: Conversation, ledger: AnswerLedger, start: number): void {
    const { plan } = this;
    const known = conversation.plan === plan ? conversation.ranges : (plan?.ranges ?? []);
    const ranges = known.filter(({ peer }) => this.peers.isReady(peer));
    const places = (of: readonly LayerRange[]) => of.map(({ peer, first, end }) => `${peer} ${first} ${end}`).join();
    const isSame = places(ranges) === places(conversation.ranges);
    conversation.plan = plan;
    conversation.ranges = ranges;
    if (!isSame && start > 0) ledger.revise(0, ranges.map(({ peer }) => peer).join(', ') || 'none', 'runs other layers now');
  }

  async #runHere(what: PagedRun, from: number, to: number): Promise<void> {
    if (from >= to) return;
    const { device } = this.context.memory;
    await this.paged.turns.run(async () => device.queue.submit([(await this.paged.run({ ...what, stages: what.stages.slice(from, to) })).finish()]));
    if (what.counts) what.counts.submits++;
  }

  async #runThere({ size, signal, counts = noCounts() }: PagedRun, { id }: Conversation, range: LayerRange, ledger: AnswerLedger): Promise<void> {
    const { device } = this.context.memory;
    const { x } = this.context.scratch;
    const bytes = size.tokens * this.context.spec.hiddenSize * 4;
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(x, 0, this.#staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    counts.submits++;
    counts.readbacks++;
    try {
      await this.#staging.mapAsync(GPUMapMode.READ, 0, bytes);
    } catch (cause) {
      throw new DeviceLostError(cause instanceof Error ? cause.message : String(cause));
    }
    const stream = new Float32Array(this.#staging.getMappedRange(0, bytes).slice(0));
    this.#staging.unmap();
    signal?.throwIfAborted();
    const { first, end } = range;
    const work = { conversation: id, first, end, start: size.context - size.tokens, tokens: size.tokens, x: stream };
    const rows = await askLayers(this.peers, range.peer, work, ledger);
    ledger.check();
    if (rows) device.queue.writeBuffer(x, 0, rows);
  }
}

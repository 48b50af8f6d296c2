import { AnswerLedger } from '../../mesh/answer-ledger.ts';
import type { Peers } from '../../mesh/peers.ts';
import type { LayerRange, LayersPlan } from '../../mesh/plan-types.ts';
import { chainsOf } from '../../mesh/route.ts';
import { noCounts, type SessionCounts } from '../counts.ts';
import type { ForwardPlan } from '../forward.ts';
import { readNow } from '../hasten.ts';
import type { PlanContext } from '../plan-context.ts';
import type { Stage } from '../plan.ts';
import type { MeshRunner } from './mesh-answer.ts';
import type { ExpertRunner, PagedExperts, PagedRun } from './paged-experts.ts';
import type { ExpertResidency } from '../../residency/expert-residency.ts';
import type { GpuMemory } from '../../residency/gpu-memory.ts';
import { Turns } from './turns.ts';

/** A session's layers as they are spread. */
interface Conversation {
  /** Peers know it by this number, which nobody else in the room can guess. */
  id: number;
  readonly prompt: readonly Stage[];
  /** Which the ranges were taken from. */
  plan: LayersPlan | undefined;
  /** Who knows what came before. */
  ranges: readonly LayerRange[];
  ledger: AnswerLedger | undefined;
}

/**
 * Runs stages of a model whose layers are spread over a room: a pass goes from peer to peer, with the residual stream, and comes
 * home from the last. Other conversations run here meanwhile. A peer keeps its layers' keys and values, so that where
 * one is lost the conversation begins again, without it.
 */
export class MeshLayers implements ExpertRunner, MeshRunner {
  readonly turns = new Turns();
  readonly #staging: GPUBuffer;
  readonly #conversations = new WeakMap<readonly Stage[], Conversation>();
  /** Where prompts keep their routers' choices while peers compute: those that are free. */
  readonly #parks: GPUBuffer[] = [];
  plan: LayersPlan | undefined;

  constructor(
    readonly context: PlanContext,
    readonly memory: GpuMemory,
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
    const conversation = this.#conversations.get(prefill) ?? { id: newId(), prompt: prefill, plan: undefined, ranges: [], ledger };
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
      for (const chain of chainsOf(conversation.ranges)) {
        const [first, last] = [chain[0], chain.at(-1)];
        if (!first || !last) continue;
        // Stage 0 is the embedding.
        await this.#runHere(what, at, first.first + 1);
        await this.#runThere(what, conversation, chain, ledger);
        at = last.end + 1;
      }
      if (conversation.ranges.length > 0 && what.size.tokens === 1) ledger.counts.decodeTokens++;
    }
    await this.#runHere(what, at, what.stages.length);
    return this.context.memory.device.createCommandEncoder();
  }

  /**
   * Takes up a new plan, or does without peers that have failed. Peers know only what has gone through them: in the
   * middle of a conversation both go back to its start. There it gets another number, so that passes of before which are still
   * on their way find nothing to spoil.
   */
  #follow(conversation: Conversation, ledger: AnswerLedger, start: number): void {
    const { plan } = this;
    const known = conversation.plan === plan ? conversation.ranges : (plan?.ranges ?? []);
    const ranges = known.filter(({ peer }) => this.peers.isReady(peer));
    const places = (of: readonly LayerRange[]) => of.map(({ peer, first, end }) => `${peer} ${first} ${end}`).join();
    const isSame = places(ranges) === places(conversation.ranges);
    if (start === 0) {
      for (const { peer } of conversation.ranges) this.peers.get(peer)?.forget(conversation.id);
      conversation.id = newId();
    }
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

  async #runThere({ stages, size, signal, counts = noCounts() }: PagedRun, conversation: Conversation, chain: readonly LayerRange[], ledger: AnswerLedger): Promise<void> {
    const { device } = this.context.memory;
    const { x, expertIds } = this.context.scratch;
    const bytes = size.tokens * this.context.spec.hiddenSize * 4;
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(x, 0, this.#staging, 0, bytes);
    // Of a prompt's tokens the choices are read at its end; a decoded token's are the session's own.
    const park = stages === conversation.prompt ? (this.#parks.pop() ?? this.memory.storage('mesh.parked_ids', expertIds.size)) : undefined;
    if (park) encoder.copyBufferToBuffer(expertIds, 0, park, 0, expertIds.size);
    try {
      const stream = await this.#read(encoder, bytes, counts);
      signal?.throwIfAborted();
      const pass = { conversation: conversation.id, start: size.context - size.tokens, tokens: size.tokens, x: stream };
      const rows = await this.turns.pause(this.peers.passes.run(chain, pass, ledger));
      if ('without' in rows) conversation.ranges = conversation.ranges.filter(({ peer }) => !rows.without.includes(peer));
      else device.queue.writeBuffer(x, 0, rows);
      ledger.check();
      if (!park) return;
      const restore = device.createCommandEncoder();
      restore.copyBufferToBuffer(park, 0, expertIds, 0, expertIds.size);
      device.queue.submit([restore.finish()]);
    } finally {
      // The queue runs in order: who gets it next writes to it after this has been read.
      if (park) this.#parks.push(park);
    }
  }

  /** Submits what is encoded, which ends with a copy to staging, and reads it: [tokens, d]. */
  async #read(encoder: GPUCommandEncoder, bytes: number, counts: SessionCounts): Promise<Float32Array<ArrayBuffer>> {
    this.context.memory.device.queue.submit([encoder.finish()]);
    counts.submits++;
    counts.readbacks++;
    return new Float32Array(await readNow(this.context.memory.device, this.#staging, bytes));
  }
}

function newId(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

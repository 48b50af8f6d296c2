import { moeGather, type BatchSize, type Step } from '@gatefold/shaders';
import { AnswerLedger } from '../../mesh/answer-ledger.ts';
import { ExpertExchange } from '../../mesh/expert-exchange.ts';
import { workOf, type ExpertWork } from '../../mesh/expert-work.ts';
import type { Peers } from '../../mesh/peers.ts';
import type { ExpertResidency } from '../../residency/expert-residency.ts';
import type { GpuMemory } from '../../residency/gpu-memory.ts';
import { noCounts, type SessionCounts } from '../counts.ts';
import { encodePass } from '../encode-pass.ts';
import type { ForwardPlan } from '../forward.ts';
import type { PlanContext } from '../plan-context.ts';
import type { RoutedSteps, Stage } from '../plan.ts';
import { hasten, readNow } from '../hasten.ts';
import { widestLayer } from '../scratch.ts';
import { ExpertCompute } from './expert-compute.ts';
import type { MeshRunner } from './mesh-answer.ts';
import type { ExpertRunner, PagedExperts, PagedRun } from './paged-experts.ts';
import { Turns } from './turns.ts';

/** Whose pass it is. */
interface Running {
  readonly ledger: AnswerLedger;
  readonly isDecode: boolean;
}

/**
 * Runs stages of a model whose experts are spread over a room. At each router the host reads its choice and what the
 * experts are to read, sends the peers' part off, runs its own part and what runs beside the experts meanwhile, and adds
 * the peers' sums when they come. Without peers it runs as `PagedExperts` does.
 */
export class MeshExperts implements ExpertRunner, MeshRunner {
  readonly turns = new Turns();
  readonly compute: ExpertCompute;
  readonly exchange: ExpertExchange;
  readonly #staging: GPUBuffer;
  /** [tokens, d]: sums that came from peers. */
  readonly #sums: GPUBuffer;
  readonly #joins = new WeakMap<RoutedSteps, Promise<Step>>();
  readonly #answers = new Map<readonly Stage[], Running>();
  /** Where tokens of other conversations keep what is in scratch while their peers compute, one each: those that are free. */
  readonly #parks: GPUBuffer[] = [];

  /** @param paged brings experts; its turns are held only while experts are brought and used, never while peers are waited for */
  constructor(
    readonly context: PlanContext,
    readonly memory: GpuMemory,
    readonly paged: PagedExperts,
    readonly peers: Peers,
  ) {
    const { spec, chunk } = context;
    this.compute = new ExpertCompute(context, memory, paged.residency, paged.turns);
    const alone = async (work: ExpertWork) => (await this.compute.run([work]))[0] ?? new Float32Array(0);
    this.exchange = new ExpertExchange(peers, alone, (layer) => this.compute.moe(layer)?.width ?? 0);
    const rowBytes = spec.hiddenSize * 4;
    this.#sums = memory.storage('mesh.peer_sums', chunk * rowBytes);
    this.#staging = memory.create('mesh.readback', chunk * (widestLayer(spec).topK * 8 + rowBytes), GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  }

  get residency(): ExpertResidency {
    return this.paged.residency;
  }

  /** With peers each router must be looked at. */
  get confident(): boolean {
    return this.exchange.isAlone && this.paged.confident;
  }

  confirm(choices: readonly (readonly number[])[], version: number): boolean {
    return this.paged.confirm(choices, version);
  }

  repair(choices: readonly (readonly number[])[], options: Pick<PagedRun, 'counts' | 'signal'>): Promise<boolean> {
    return this.paged.repair(choices, options);
  }

  begin({ prefill, decode }: ForwardPlan): AnswerLedger {
    const ledger = new AnswerLedger();
    this.#answers.set(prefill, { ledger, isDecode: false });
    this.#answers.set(decode, { ledger, isDecode: true });
    this.peers.begin(ledger);
    return ledger;
  }

  end({ prefill, decode }: ForwardPlan, ledger: AnswerLedger): void {
    this.#answers.delete(prefill);
    this.#answers.delete(decode);
    this.exchange.end(ledger);
    this.peers.end(ledger);
  }

  settled(): Promise<void> {
    return this.exchange.settled();
  }

  /** Returns an encoder that ends with the last stage's steps, not submitted yet. Throws `RevisionError`, and as `ExpertResidency.admit`. */
  async run(what: PagedRun): Promise<GPUCommandEncoder> {
    const running = this.#answers.get(what.stages) ?? { ledger: new AnswerLedger(), isDecode: false };
    running.ledger.check();
    if (this.exchange.isAlone) {
      this.exchange.end(running.ledger);
      return this.#runAlone(what);
    }
    if (running.isDecode) running.ledger.counts.decodeTokens += what.size.tokens;
    const { loads, bytesLoaded } = this.residency;
    const counts = what.counts ?? noCounts();
    try {
      const encoder = await this.#run(what, running, counts);
      // What follows on it is read back as well: by then it has been submitted.
      setTimeout(() => void hasten(this.#device, this.#device.queue.onSubmittedWorkDone()).catch(() => {}));
      return encoder;
    } finally {
      counts.expertLoads += this.residency.loads - loads;
      counts.expertBytes += this.residency.bytesLoaded - bytesLoaded;
    }
  }

  get #device(): GPUDevice {
    return this.memory.device;
  }

  async #runAlone(what: PagedRun): Promise<GPUCommandEncoder> {
    // Submitted before anybody else may take the experts away.
    await this.paged.turns.run(async () => this.#device.queue.submit([(await this.paged.run(what)).finish()]));
    if (what.counts) what.counts.submits++;
    return this.#device.createCommandEncoder();
  }

  async #run({ stages, size, onStage, signal }: PagedRun, running: Running, counts: SessionCounts): Promise<GPUCommandEncoder> {
    let encoder = this.#device.createCommandEncoder();
    for (const stage of stages) {
      const { steps, routed } = stage;
      if (routed) {
        counts.dispatches += encodePass(encoder, steps.slice(0, routed.first), size);
        const work = await this.#readWork(encoder, routed, size.tokens, counts);
        signal?.throwIfAborted();
        running.ledger.check();
        encoder = await this.#runRouted(stage, routed, work, size, { running, counts, signal });
      } else {
        counts.dispatches += encodePass(encoder, steps, size);
      }
      onStage?.(encoder, stage);
    }
    return encoder;
  }

  /** Returns the encoder for what follows. */
  async #runRouted({ steps }: Stage, routed: RoutedSteps, work: ExpertWork, size: BatchSize, { running, counts, signal }: { running: Running; counts: SessionCounts; signal: AbortSignal | undefined }): Promise<GPUCommandEncoder> {
    const { first, end, joined } = routed;
    const position = size.context - size.tokens;
    const { home, sums } = this.exchange.begin(work, { answer: running.ledger, position, isDecode: running.isDecode });
    await this.#runHome(routed.layer, [...home].sort((a, b) => a - b), steps.slice(first, end), size, counts, signal);
    let encoder = this.#device.createCommandEncoder();
    counts.dispatches += encodePass(encoder, steps.slice(end, joined), size);
    if (sums) {
      const arrived = this.#wait(encoder, routed, size, running, sums);
      counts.submits++;
      const { peerSums, restored } = await arrived;
      encoder = restored;
      this.#device.queue.writeBuffer(this.#sums, 0, peerSums);
      running.ledger.check();
      counts.dispatches += encodePass(encoder, [await this.#joinOf(routed)], size);
    }
    counts.dispatches += encodePass(encoder, steps.slice(joined), size);
    return encoder;
  }

  /**
   * Submits what is encoded and waits for the peers. With several conversations, tokens of others run meanwhile: what this
   * one has in scratch is put aside, and the returned encoder begins with bringing it back.
   */
  async #wait(encoder: GPUCommandEncoder, routed: RoutedSteps, size: BatchSize, { isDecode }: Running, sums: Promise<Float32Array<ArrayBuffer>>): Promise<{ readonly peerSums: Float32Array<ArrayBuffer>; readonly restored: GPUCommandEncoder }> {
    // Each answer has two lists of stages. A prompt's pass is large, and goes through at one go.
    const isShared = isDecode && size.tokens === 1 && this.#answers.size > 2;
    const live = isShared ? this.#live(routed) : [];
    const bytes = this.context.spec.hiddenSize * 4;
    const park = isShared ? (this.#parks.pop() ?? this.memory.storage('mesh.parked', 3 * bytes)) : undefined;
    for (const [i, buffer] of live.entries()) if (park) encoder.copyBufferToBuffer(buffer, 0, park, i * bytes, bytes);
    this.#device.queue.submit([encoder.finish()]);
    try {
      const peerSums = await (park ? this.turns.pause(sums) : sums);
      const restored = this.#device.createCommandEncoder();
      for (const [i, buffer] of live.entries()) if (park) restored.copyBufferToBuffer(park, i * bytes, buffer, 0, bytes);
      return { peerSums, restored };
    } finally {
      // The queue runs in order: who gets it next writes to it after this has been read.
      if (park) this.#parks.push(park);
    }
  }

  /** What the steps from `joined` on read of what came before. */
  #live({ layer, out }: RoutedSteps): readonly GPUBuffer[] {
    const { scratch, spec } = this.context;
    const hasMlp = this.compute.moe(layer)?.shared.kind === 'parallel';
    return [...new Set([scratch.x, out, ...(hasMlp ? [this.context.activations('mlp_output', spec.hiddenSize)] : [])])];
  }

  /** The experts that are computed here, in as many rounds as they need; kernels see no others, resident or not. */
  async #runHome(layer: number, home: readonly number[], run: readonly Step[], size: BatchSize, counts: SessionCounts, signal?: AbortSignal): Promise<void> {
    const { residency, paged } = this;
    residency.use(layer, home);
    const room = residency.room(layer);
    // Rows of experts that are not shown stay as they are, and are summed up.
    let encoder = this.#device.createCommandEncoder();
    encoder.clearBuffer(this.context.scratch.expertOut);
    // One round at least: where nothing is left to do here, what is overwritten with the sum must become 0.
    for (let at = 0; at === 0 || at < home.length; at += room) {
      const round = home.slice(at, at + room);
      await paged.turns.run(async () => {
        await residency.admit(layer, round, { signal });
        residency.publish(layer, new Set(round));
        counts.dispatches += encodePass(encoder, run, size);
        this.#device.queue.submit([encoder.finish()]);
        residency.publish(layer);
      });
      counts.submits++;
      encoder = this.#device.createCommandEncoder();
    }
  }

  /** Adds peers' sums to what the layer's experts have left. */
  #joinOf(routed: RoutedSteps): Promise<Step> {
    const { shaders, ones, spec } = this.context;
    const { layer, out, scale } = routed;
    const made = this.#joins.get(routed);
    if (made) return made;
    const step = moeGather(shaders, { label: `mesh.${layer}.join`, y: { buffer: this.#sums }, weights: { buffer: ones }, out: { buffer: out }, width: spec.hiddenSize, topK: 1, scale, residual: true });
    this.#joins.set(routed, step);
    return step;
  }

  /** Submits what is encoded and reads the router's choice and the experts' inputs, in one go. */
  async #readWork(encoder: GPUCommandEncoder, { layer, ids, weights, topK, x }: RoutedSteps, tokens: number, counts: SessionCounts): Promise<ExpertWork> {
    const choiceBytes = tokens * topK * 4;
    const bytes = 2 * choiceBytes + tokens * this.context.spec.hiddenSize * 4;
    encoder.copyBufferToBuffer(ids.buffer, ids.offset ?? 0, this.#staging, 0, choiceBytes);
    encoder.copyBufferToBuffer(weights.buffer, weights.offset ?? 0, this.#staging, choiceBytes, choiceBytes);
    encoder.copyBufferToBuffer(x, 0, this.#staging, 2 * choiceBytes, bytes - 2 * choiceBytes);
    this.#device.queue.submit([encoder.finish()]);
    counts.submits++;
    counts.readbacks++;
    const copy = await readNow(this.#device, this.#staging, bytes);
    const at = tokens * topK;
    return workOf(layer, topK, new Uint32Array(copy, 0, at), new Float32Array(copy, choiceBytes, at), new Float32Array(copy, 2 * choiceBytes));
  }
}

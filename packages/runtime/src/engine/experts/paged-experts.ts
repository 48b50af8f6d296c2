import type { BatchSize } from '@gatefold/shaders';
import type { ExpertResidency } from '../../residency/expert-residency.ts';
import { noCounts, type SessionCounts } from '../counts.ts';
import { encodePass } from '../encode-pass.ts';
import type { PlanContext } from '../plan-context.ts';
import { Mutex } from '../mutex.ts';
import type { RoutedSteps, Stage } from '../plan.ts';
import { readNow } from '../hasten.ts';
import { moeLayers, type PassBuffers } from '../session-buffers.ts';
import type { Foretelling, Foretold } from './foretell.ts';
import { Prefetch } from './prefetch.ts';

/** Share of the layers that may lack experts for a token to run again as a whole. */
const MOST_REPAIRED = 0.25;

/** Stages to run over one batch, which has been set. */
export interface PagedRun {
  readonly stages: readonly Stage[];
  readonly size: BatchSize;
  /** Called when a stage's steps are encoded, to copy results of it. */
  readonly onStage?: (encoder: GPUCommandEncoder, stage: Stage) => void;
  readonly signal?: AbortSignal | undefined;
  /** Added to. */
  readonly counts?: SessionCounts;
}

/** Experts of a layer, and of the next one if that was foretold. */
interface Choice {
  readonly chosen: readonly number[];
  readonly foretold: readonly number[];
}

/** Runs stages whose experts may have to be fetched first, here or elsewhere. */
export type ExpertRunner = Pick<PagedExperts, 'turns' | 'residency' | 'confident' | 'confirm' | 'repair' | 'run'> & Partial<Pick<PagedExperts, 'foretell' | 'prefetch'>>;

/**
 * Runs stages of a model with fewer slots than experts. At each router the host reads its choice, makes the chosen
 * experts resident and goes on: in one round, or where a layer's slots do not hold them all, in several, each with some
 * of them. Kernels and their order are those of a resident run, and so are the results, bit for bit.
 */
export class PagedExperts {
  /** A run is many submits over shared scratch: take turns. */
  readonly turns = new Mutex();
  readonly prefetch: Prefetch;
  readonly #staging: GPUBuffer;
  readonly #layers: readonly number[];
  #confident = false;

  /** @param maxIds most ids that are read back at a time */
  constructor(
    readonly device: GPUDevice,
    readonly residency: ExpertResidency,
    maxIds: number,
    readonly foretelling: Foretelling,
  ) {
    this.prefetch = new Prefetch(residency);
    this.#layers = moeLayers(residency.weights.spec).map(({ index }) => index);
    this.#staging = device.createBuffer({ label: 'paged.ids', size: maxIds * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  get bytes(): number {
    return this.#staging.size;
  }

  /** What the MoE layer after `layer` will choose for a token, probably. */
  foretell(plan: PlanContext, session: PassBuffers, layer: number): Promise<Foretold | undefined> {
    return this.foretelling.after(plan, session, layer);
  }

  /**
   * Whether the last token found all its experts. The next ones may then run as if all were resident, several ahead,
   * without the host looking on: their choices come back with their ids, and `confirm` tells of the first that failed.
   */
  get confident(): boolean {
    return this.#confident;
  }

  /** Whether a token that ran without looking had its experts. @param version of the slot tables when it was submitted */
  confirm(choices: readonly (readonly number[])[], version: number): boolean {
    const { residency } = this;
    this.#confident = this.#layers.every((layer, place) => residency.missing(layer, choices[place] ?? [], version).length === 0);
    if (this.#confident) for (const [place, layer] of this.#layers.entries()) residency.use(layer, choices[place] ?? []);
    return this.#confident;
  }

  /**
   * Brings what a token that ran without looking lacked, where that is little: it may then run so again. In the first layer
   * that lacked experts its choice is right; later ones computed without them, and most choose as they will. Returns false
   * where so much is missing that looking at every layer costs less, and where something cannot be had: looking will tell
   * whether it is needed.
   */
  async repair(choices: readonly (readonly number[])[], { counts, signal }: Pick<PagedRun, 'counts' | 'signal'>): Promise<boolean> {
    const { residency } = this;
    const lacking = [...this.#layers.entries()].filter(([place, layer]) => residency.missing(layer, choices[place] ?? []).length > 0);
    if (lacking.length > Math.max(1, this.#layers.length * MOST_REPAIRED)) return false;
    const bring = () => Promise.allSettled(lacking.map(([place, layer]) => residency.admit(layer, choices[place] ?? [], { signal })));
    const brought = await this.turns.run(() => this.#counting(counts, bring));
    this.#confident = brought.every(({ status }) => status === 'fulfilled');
    return this.#confident;
  }

  /** Returns an encoder that ends with the last stage's steps, not submitted yet. Throws as `ExpertResidency.admit`. */
  run(what: PagedRun): Promise<GPUCommandEncoder> {
    const { counts = noCounts() } = what;
    return this.#counting(counts, () => this.#run(what, counts));
  }

  async #run({ stages, size, onStage, signal }: PagedRun, counts: SessionCounts): Promise<GPUCommandEncoder> {
    let lacked = false;
    let encoder = this.device.createCommandEncoder();
    try {
      for (const stage of stages) {
        const { steps, routed } = stage;
        if (!routed) {
          counts.dispatches += encodePass(encoder, steps, size);
        } else {
          const ahead = size.tokens === 1 && this.prefetch.isOn ? routed.foretold : undefined;
          counts.dispatches += encodePass(encoder, [...steps.slice(0, routed.first), ...(ahead?.steps ?? [])], size);
          const { chosen, foretold } = await this.#readChoice(encoder, routed, ahead, size.tokens, counts);
          signal?.throwIfAborted();
          lacked = (await this.prefetch.settle(routed.layer, chosen)) || lacked;
          encoder = await this.#runExperts(stage, routed, chosen, size, counts, signal);
          if (ahead) this.prefetch.start(ahead.layer, foretold);
          counts.dispatches += encodePass(encoder, steps.slice(routed.end), size);
        }
        onStage?.(encoder, stage);
      }
    } finally {
      await this.prefetch.stop();
    }
    this.#confident = !lacked;
    return encoder;
  }

  /** Adds up what experts the work brings. */
  async #counting<T>(counts: SessionCounts | undefined, work: () => Promise<T>): Promise<T> {
    const { loads, bytesLoaded } = this.residency;
    try {
      return await work();
    } finally {
      if (counts) {
        counts.expertLoads += this.residency.loads - loads;
        counts.expertBytes += this.residency.bytesLoaded - bytesLoaded;
      }
    }
  }

  dispose(): void {
    this.#staging.destroy();
  }

  /** Returns the encoder for what follows. */
  async #runExperts({ steps }: Stage, { layer, first, end }: RoutedSteps, chosen: readonly number[], size: BatchSize, counts: SessionCounts, signal?: AbortSignal): Promise<GPUCommandEncoder> {
    const { residency } = this;
    const run = steps.slice(first, end);
    residency.use(layer, chosen);
    const room = residency.room(layer);
    let encoder = this.device.createCommandEncoder();
    if (chosen.length <= room) {
      await residency.admit(layer, chosen, { signal });
      counts.dispatches += encodePass(encoder, run, size);
      return encoder;
    }
    // Those that are there compute while others come; each comes once.
    const missing = residency.missing(layer, chosen);
    const rounds = [chosen.filter((expert) => !missing.includes(expert)), ...slices(missing, room)].filter(({ length }) => length > 0);
    try {
      for (const round of rounds) {
        await residency.admit(layer, round, { signal });
        residency.publish(layer, new Set(round));
        counts.dispatches += encodePass(encoder, run, size);
        this.device.queue.submit([encoder.finish()]);
        counts.submits++;
        encoder = this.device.createCommandEncoder();
      }
    } finally {
      residency.publish(layer);
    }
    return encoder;
  }

  /** Submits what is encoded and reads which experts the router chose, and which the next one will; each once, ascending. */
  async #readChoice(encoder: GPUCommandEncoder, { ids, topK }: RoutedSteps, ahead: Foretold | undefined, tokens: number, counts: SessionCounts): Promise<Choice> {
    const ownBytes = tokens * topK * 4;
    const bytes = ownBytes + (ahead?.topK ?? 0) * 4;
    encoder.copyBufferToBuffer(ids.buffer, ids.offset ?? 0, this.#staging, 0, ownBytes);
    if (ahead) encoder.copyBufferToBuffer(ahead.ids, 0, this.#staging, ownBytes, bytes - ownBytes);
    this.device.queue.submit([encoder.finish()]);
    counts.submits++;
    counts.readbacks++;
    const read = new Uint32Array(await readNow(this.device, this.#staging, bytes));
    const each = (found: Uint32Array) => [...new Set(found)].sort((a, b) => a - b);
    return { chosen: each(read.subarray(0, tokens * topK)), foretold: each(read.subarray(tokens * topK)) };
  }
}

function slices(experts: readonly number[], length: number): (readonly number[])[] {
  return Array.from({ length: Math.ceil(experts.length / length) }, (_, i) => experts.slice(i * length, (i + 1) * length));
}

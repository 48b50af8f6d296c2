import { MOST_FEW, samplerScratchBytes, type Step } from '@gatefold/shaders';
import { attentionRows, attentionRowsBytes } from '@gatefold/shaders/few';
import { samplerRows } from '@gatefold/shaders/sampler';
import type { AttentionSpec, LayerSpec } from '../../model/spec.ts';
import { allLogitsSteps } from '../all-logits.ts';
import { ffnSteps } from '../ffn.ts';
import type { SamplerMode } from '../forward.ts';
import { embeddingSteps } from '../head.ts';
import { attentionInputs, attentionVariant, gqaParts, qkvWidth } from '../mixers/gqa.ts';
import { stateBytes } from '../mixers/state.ts';
import { PlanContext } from '../plan-context.ts';
import { jointState, type SessionBuffers } from '../session-buffers.ts';

/** Bytes of a row's place: position, 1 where a session has it (else 0), and id, 0. */
const PLACE_BYTES = 16;
/** Bytes of a generation's sampling settings. */
const SAMPLING_BYTES = 32;
/** Bytes of a row's result: id, status, log-probability, position. */
export const ROW_RESULT_BYTES = 16;
/** In place of a cache where nobody has the row. */
const VACANT_BYTES = 256;

/** A layer whose mixer is attention over a cache. */
export type AttentionLayer = LayerSpec & { readonly attention: AttentionSpec };

/** Who has which row. */
export type Rows = readonly (SessionBuffers | undefined)[];

/** Steps of a layer: before attention, over the caches of those who have the rows, and after it. */
interface LayerSteps {
  readonly before: readonly Step[];
  readonly attend: Awaited<ReturnType<typeof attentionRows>>;
  readonly after: readonly Step[];
}

/** What a pass does whoever has the rows. */
interface SharedSteps {
  readonly embed: readonly Step[];
  readonly layers: readonly LayerSteps[];
  readonly logits: readonly Step[];
}

/** The model's layers where its sessions can run as rows of one pass: attention alone, over caches that can be bound whole. */
export function batchableLayers(main: PlanContext): readonly AttentionLayer[] | undefined {
  const layers = main.spec.layers.filter((layer): layer is AttentionLayer => layer.attention.kind === 'gqa' && valuesOffset(main, layer.attention) !== undefined);
  return layers.length === main.spec.layers.length ? layers : undefined;
}

/** Where values start in a session's cache. */
function valuesOffset({ spec, memory, contextLength, cacheType }: PlanContext, attention: AttentionSpec): number | undefined {
  return jointState(memory.device, stateBytes(attention, contextLength, spec.hiddenSize, cacheType))?.offsets.get('values');
}

/**
 * The forward pass over up to `MOST_FEW` tokens of as many sessions, one a row: products, experts and norms as in a short
 * prompt; embedding, attention and sampling by kernels that take each row at its own position. What these read and write
 * of a session lies here while it has a row; only its caches stay where they are.
 */
export class BatchPlan {
  /** Uniform: 0, and the number of rows. */
  readonly batch: GPUBuffer;
  /** What the sampler has chosen, of each row. */
  readonly results: GPUBuffer;
  /** Of each row: its place, its settings, and where each token was seen last. */
  readonly #places: GPUBuffer;
  readonly #sampling: GPUBuffer;
  readonly #seen: GPUBuffer;
  readonly #logits: GPUBuffer;
  /** Elements from a row's logits to the next's. */
  readonly #stride: number;
  readonly #samplers = new Map<SamplerMode, readonly Step[]>();
  #shared: SharedSteps = { embed: [], layers: [], logits: [] };

  private constructor(
    /** Of the sessions: caches, position tables. */
    readonly main: PlanContext,
    /** Of the pass: scratch for its rows. */
    readonly plan: PlanContext,
  ) {
    const { memory, spec } = main;
    const { UNIFORM, STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    this.#stride = Math.ceil(spec.vocabSize / 64) * 64;
    this.batch = memory.create('batch.batch', 16, UNIFORM | COPY_DST);
    this.results = memory.storage('batch.results', MOST_FEW * ROW_RESULT_BYTES);
    this.#places = memory.create('batch.places', MOST_FEW * PLACE_BYTES, UNIFORM | STORAGE | COPY_DST | COPY_SRC);
    this.#sampling = memory.create('batch.sampling', MOST_FEW * SAMPLING_BYTES, UNIFORM | COPY_DST);
    this.#seen = memory.storage('batch.seen', MOST_FEW * spec.vocabSize * 4);
    this.#logits = memory.storage('batch.logits', MOST_FEW * this.#stride * 4);
  }

  /** Compiles what is not compiled yet, but for sampling. */
  static async open(main: PlanContext, layers: readonly AttentionLayer[]): Promise<BatchPlan> {
    const { shaders, memory, spec, weights, contextLength, ropeFactors } = main;
    const made = new BatchPlan(main, new PlanContext(shaders, memory, spec, weights, contextLength, MOST_FEW, ropeFactors));
    made.#shared = await made.#steps(layers);
    return made;
  }

  /** The router's choices of a pass: `[rows, k]` of each MoE layer, `expertIdsStride` bytes apart. */
  get routes(): { readonly buffer: GPUBuffer; readonly stride: number } {
    const { expertIds, expertIdsStride } = this.plan.scratch;
    return { buffer: expertIds, stride: expertIdsStride };
  }

  /** Compiles what the mode takes; passes that sample may have sessions of both. */
  async prepare(mode: SamplerMode): Promise<void> {
    const { main, plan } = this;
    const { vocabSize: vocab } = main.spec;
    if (this.#samplers.has(mode)) return;
    const steps = await samplerRows(main.shaders, {
      label: 'sample',
      mode,
      vocab,
      logits: { buffer: this.#logits },
      stride: this.#stride,
      sampling: { buffer: this.#sampling },
      seen: { buffer: this.#seen },
      rows: { buffer: this.#places },
      results: { buffer: this.results },
      scratch: { buffer: plan.activations('sampler', samplerScratchBytes(vocab) / 4) },
    });
    this.#samplers.set(mode, steps);
  }

  /** What a pass over these rows does. @param mode prepared */
  steps(rows: Rows, mode: SamplerMode): readonly Step[] {
    const { embed, layers, logits } = this.#shared;
    const each = layers.flatMap(({ before, attend, after }, layer) => {
      const caches = rows.map((session) => session && { buffer: session.state(layer, 'keys').buffer });
      return [...before, ...attend(caches), ...after];
    });
    return [...embed, ...each, ...logits, ...(this.#samplers.get(mode) ?? [])];
  }

  /** A session takes a row: with the next pass. */
  enter(encoder: GPUCommandEncoder, session: SessionBuffers, row: number): void {
    const at = row * PLACE_BYTES;
    encoder.copyBufferToBuffer(session.batch, 0, this.#places, at, 8);
    encoder.copyBufferToBuffer(session.ids, 0, this.#places, at + 8, 4);
    encoder.copyBufferToBuffer(session.sampling, 0, this.#sampling, row * SAMPLING_BYTES, SAMPLING_BYTES);
    const bytes = this.main.spec.vocabSize * 4;
    encoder.copyBufferToBuffer(session.seen, 0, this.#seen, row * bytes, bytes);
  }

  /** A row is nobody's any more. @param session goes on elsewhere */
  leave(encoder: GPUCommandEncoder, row: number, session?: SessionBuffers): void {
    const at = row * PLACE_BYTES;
    if (session) {
      encoder.copyBufferToBuffer(this.#places, at, session.batch, 0, 8);
      encoder.copyBufferToBuffer(this.#places, at + 8, session.ids, 0, 4);
      const bytes = this.main.spec.vocabSize * 4;
      encoder.copyBufferToBuffer(this.#seen, row * bytes, session.seen, 0, bytes);
    }
    encoder.clearBuffer(this.#places, at, PLACE_BYTES);
  }

  async #steps(layers: readonly AttentionLayer[]): Promise<SharedSteps> {
    const { main, plan } = this;
    const { shaders, contextLength, cacheType } = main;
    const vacant = main.memory.storage('batch.vacant', MOST_FEW * VACANT_BYTES);
    const rows = { buffer: this.#places };
    // Choices lie in scratch, as those of a prompt.
    const session = { batch: this.batch, result: plan.scratch.expertIds };
    const mode = 'prefill';
    const each = layers.map(async (layer): Promise<LayerSteps> => {
      const { attention } = layer;
      const parts = gqaParts({ plan, session, layer, mode }, attention);
      const bytes = attentionRowsBytes(attention, contextLength);
      const attend = attentionRows(shaders, {
        label: `layer.${layer.index}.attention`,
        ...attentionVariant(main, layer, attention),
        inputs: attentionInputs(main, layer, attention, { buffer: plan.activations('qkv', qkvWidth(attention)) }),
        cacheType,
        rows,
        out: { buffer: parts.out },
        maxContext: contextLength,
        valuesOffset: valuesOffset(main, attention) ?? 0,
        ready: plan.sharedStorage('attention_ready', bytes.ready),
        partial: plan.sharedStorage('attention_partial', bytes.partial),
        vacant,
      });
      const [before, made, after, ffn] = await Promise.all([parts.before, attend, parts.after, ffnSteps(plan, session, layer, mode)]);
      return { before, attend: made, after: [...after, ...ffn.steps] };
    });
    const embed = embeddingSteps(plan, { tokens: { rows, vocab: main.spec.vocabSize }, seen: this.#seen });
    const [head, embedded, ...done] = await Promise.all([allLogitsSteps(plan, session, this.#logits, this.#stride), embed, ...each]);
    return { embed: embedded, layers: done, logits: [...head.norm, ...head.logits] };
  }
}

import { MOST_FEW, type Step } from '@gatefold/shaders';
import { stackRows } from '@gatefold/shaders/few';
import type { AttentionSpec, LayerSpec, ModelSpec } from '../../model/spec.ts';
import { allLogitsSteps } from '../all-logits.ts';
import { ffnSteps } from '../ffn.ts';
import { samplerSteps, type SamplerMode } from '../forward.ts';
import { embeddingSteps } from '../head.ts';
import { attendSteps, gqaParts, qkvWidth } from '../mixers/gqa.ts';
import { PlanContext } from '../plan-context.ts';
import { BATCH_BYTES, type SessionBuffers } from '../session-buffers.ts';

/** Rows start at multiples of so many f32, where bindings may start. */
const ALIGNMENT = 64;

/** A layer whose mixer is attention over a cache. */
type AttentionLayer = LayerSpec & { readonly attention: AttentionSpec };

/** What a pass does for one session: its row's embedding, attention of each layer, and choice of the next token. */
export interface RowSteps {
  readonly embed: readonly Step[];
  readonly attend: readonly (readonly Step[])[];
  readonly sample: readonly Step[];
}

/** What a pass does for all rows at once: each layer before and after attention, then the logits. */
export interface SharedSteps {
  readonly layers: readonly { readonly before: readonly Step[]; readonly after: readonly Step[] }[];
  readonly logits: readonly Step[];
}

/** What a row has for itself, so that rows need not wait for each other. */
interface RowScratch {
  readonly sampler: GPUBuffer;
  readonly partials: ReadonlyMap<number, GPUBuffer>;
  readonly query: GPUBuffer;
  /** What attention gives. */
  readonly attended: GPUBuffer;
}

/** Whether sessions of the model can run as rows of one pass: attention over caches alone, and rows that bindings can start at. */
export function isBatchable(spec: ModelSpec): spec is ModelSpec & { readonly layers: readonly AttentionLayer[] } {
  if (spec.hiddenSize % ALIGNMENT !== 0) return false;
  return spec.layers.every(({ attention }) => attention.kind === 'gqa' && qkvWidth(attention) % ALIGNMENT === 0);
}

/**
 * The forward pass over up to `MOST_FEW` tokens of as many sessions, one a row: products, experts and norms as in a short
 * prompt, attention and sampling on each session's own buffers.
 */
export class BatchPlan {
  /** Uniform: 0, and the number of rows. */
  readonly batch: GPUBuffer;
  readonly logits: GPUBuffer;
  readonly #rows: RowScratch[] = [];
  /** Elements from a row's logits to the next's. */
  readonly #stride: number;

  private constructor(
    /** Of the sessions: caches, position tables. */
    readonly main: PlanContext,
    /** Of the pass: scratch for its rows. */
    readonly plan: PlanContext,
    readonly layers: readonly AttentionLayer[],
  ) {
    const { memory, spec } = main;
    this.#stride = Math.ceil(spec.vocabSize / ALIGNMENT) * ALIGNMENT;
    this.batch = memory.create('batch.batch', BATCH_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    this.logits = memory.storage('batch.logits', MOST_FEW * this.#stride * 4);
  }

  /** Compiles what is not compiled yet. */
  static async open(main: PlanContext, layers: readonly AttentionLayer[]): Promise<{ readonly plan: BatchPlan; readonly shared: SharedSteps }> {
    const { shaders, memory, spec, weights, contextLength, ropeFactors } = main;
    const plan = new BatchPlan(main, new PlanContext(shaders, memory, spec, weights, contextLength, MOST_FEW, ropeFactors), layers);
    return { plan, shared: await plan.#shared() };
  }

  /** The router's choices of a pass: `[rows, k]` of each MoE layer, `expertIdsStride` bytes apart. */
  get routes(): { readonly buffer: GPUBuffer; readonly stride: number } {
    const { expertIds, expertIdsStride } = this.plan.scratch;
    return { buffer: expertIds, stride: expertIdsStride };
  }

  /** What the pass does for a session that has the row. */
  async row(session: SessionBuffers, row: number, mode: SamplerMode): Promise<RowSteps> {
    const { main, plan, layers } = this;
    const { scratch } = plan;
    const own = this.#rowScratch(row);
    const part = (buffer: GPUBuffer, width: number, stride = width): GPUBufferBinding => ({ buffer, offset: row * stride * 4, size: width * 4 });
    const attend = layers.map((layer) => {
      const { attention } = layer;
      const partial = own.partials.get(layer.index);
      const rows = {
        qkv: part(plan.activations('qkv', qkvWidth(attention)), qkvWidth(attention)),
        q: { buffer: own.query },
        out: { buffer: own.attended, size: attendedWidth(attention) * 4 },
        ...(partial ? { partial: { buffer: partial } } : {}),
      };
      return attendSteps(main, session, layer, attention, rows);
    });
    const [embed, sample, ...attended] = await Promise.all([
      embeddingSteps(plan, session, part(scratch.x, plan.spec.hiddenSize)),
      samplerSteps(plan, session, mode, part(this.logits, plan.spec.vocabSize, this.#stride), own.sampler),
      ...attend,
    ]);
    return { embed, sample, attend: attended };
  }

  async #shared(): Promise<SharedSteps> {
    const { plan, layers, logits } = this;
    // Choices lie in scratch, as those of a prompt.
    const session = { batch: this.batch, result: plan.scratch.expertIds };
    const mode = 'prefill';
    const each = layers.map(async (layer) => {
      const mixer = gqaParts({ plan, session, layer, mode }, layer.attention);
      const width = attendedWidth(layer.attention);
      const rows = Array.from({ length: MOST_FEW }, (_, row) => ({ buffer: this.#rowScratch(row).attended, size: width * 4 }));
      const stack = stackRows(plan.shaders, { label: `layer.${layer.index}.attention_rows`, rows, batch: { buffer: this.batch }, out: { buffer: mixer.out }, width });
      const [before, stacked, after, ffn] = await Promise.all([mixer.before, stack, mixer.after, ffnSteps(plan, session, layer, mode)]);
      return { before, after: [...stacked, ...after, ...ffn.steps] };
    });
    const [head, ...done] = await Promise.all([allLogitsSteps(plan, session, logits, this.#stride), ...each]);
    return { layers: done, logits: [...head.norm, ...head.logits] };
  }

  #rowScratch(row: number): RowScratch {
    const { main, plan, layers } = this;
    const { memory } = main;
    const made = this.#rows[row];
    if (made) return made;
    const bySize = new Map<number, GPUBuffer>();
    const partials = new Map(
      layers.map(({ index, attention }) => {
        const { size } = main.attentionPartial(attention);
        const buffer = bySize.get(size) ?? memory.storage(`batch.attention_partial.${row}`, size);
        bySize.set(size, buffer);
        return [index, buffer];
      }),
    );
    const widest = (width: (attention: AttentionSpec) => number) => Math.max(...layers.map(({ attention }) => width(attention)));
    const scratch = {
      partials,
      query: memory.storage(`batch.query.${row}`, widest(({ heads, headDim }) => heads * headDim) * 4),
      attended: memory.storage(`batch.attended.${row}`, widest(attendedWidth) * 4),
      sampler: memory.storage(`batch.sampler.${row}`, plan.samplerScratch.size),
    };
    this.#rows[row] = scratch;
    return scratch;
  }
}

function attendedWidth({ heads, valueDim }: AttentionSpec): number {
  return heads * valueDim;
}

import { checkAttention, type AttentionShape, type CacheType } from './attention-shape.ts';
import type { KernelParts, ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import type { Step } from './step.ts';

/** What makes queries, keys and values of their product ready for attention. */
export interface AttentionInputs {
  /** [tokens, heads · queryStride + kvHeads · headDim + kvHeads · valueDim] f32: queries, keys, values; without these where `valuesAreKeys` */
  readonly qkv: GPUBufferBinding;
  /** Elements from a query head to the next, a multiple of 4; default: `headDim`. */
  readonly queryStride?: number;
  /** RMSNorm of queries and keys: over each head, over all heads at once, or over each head without weights. */
  readonly qkNorm: 'none' | 'per-head' | 'full' | 'unit';
  readonly qkNormEps: number;
  /** The norm's weights come after the rotation instead of before; not for a table with a factor on cos and sin, nor for `full`. */
  readonly qkNormLast?: boolean;
  /** RMSNorm of each value head, without weights and with the same epsilon. */
  readonly valueNorm?: boolean;
  /** Values are the keys as they were before norm and rotation. */
  readonly valuesAreKeys?: boolean;
  /** Queries are multiplied by 1 + scale · ln(1 + ⌊(position + 1) / length⌋). */
  readonly temperature?: { readonly scale: number; readonly length: number } | null;
  /** f32, [headDim] or, over all heads, [heads · headDim] */
  readonly qNorm?: GPUBufferBinding;
  /** f32, [headDim] or, over all heads, [kvHeads · headDim] */
  readonly kNorm?: GPUBufferBinding;
  readonly rope: {
    /** `norm` rotates neighbours (2i, 2i + 1), `neox` halves (i, i + dims / 2). */
    readonly kind: 'norm' | 'neox';
    /** Rotated dimensions of a head, from its start. */
    readonly dims: number;
    /** [positions, dims / 2, 2] f32, made by `ropeTable` */
    readonly table: GPUBufferBinding;
  } | null;
}

export interface RopeAndCacheArgs extends AttentionShape, AttentionInputs {
  readonly label: string;
  /** [tokens, heads, headDim] f32, written */
  readonly q: GPUBufferBinding;
  /** [positions, kvHeads, headDim] of `cacheType`; the tokens' positions are written */
  readonly kCache: GPUBufferBinding;
  /** [positions, kvHeads, valueDim] of `cacheType`; the tokens' positions are written */
  readonly vCache: GPUBufferBinding;
  /** Default: f32. */
  readonly cacheType?: CacheType;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
}

/**
 * QK-norm, RoPE and write to the KV cache of the batch's tokens, in one dispatch. The host checks that their positions
 * are within cache and table. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function ropeAndCache(context: ShaderContext, args: RopeAndCacheArgs): Promise<Step> {
  const { label, q, kCache, vCache, cacheType = 'f32', batch, heads, kvHeads, headDim, valueDim, qkNorm } = args;
  checkAttention(context, label, args);
  const inputs = inputsRequest(label, args, args);
  const everyHead = heads + 2 * kvHeads;
  return context.step({
    label,
    module: 'rope_and_cache',
    conditions: { ...inputs.conditions, CACHE_WRITE: true, KV_F16: cacheType === 'f16' },
    constants: {
      ...inputs.constants,
      THREADS: context.threads(qkNorm === 'full' ? 256 : 64),
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_VECTORS: headDim / 4,
      VALUE_VECTORS: valueDim / 4,
    },
    bindings: { ...inputs.bindings, 1: q, 2: kCache, 3: vCache, 4: batch },
    // Over all heads at once: queries, keys and values are a workgroup each, but for a single token, where these are too few.
    workgroups: ({ tokens }) => [qkNorm === 'full' && tokens > 1 ? 3 : everyHead, tokens, 1],
  });
}

/** What attention_inputs.wesl takes. Throws `KernelArgumentError` for shapes that it cannot serve. */
export function inputsRequest(label: string, { headDim, valueDim }: AttentionShape, inputs: AttentionInputs): KernelParts {
  const { qkv, qkNorm, qkNormEps, qNorm, kNorm, rope, queryStride = headDim, qkNormLast = false, valueNorm = false, valuesAreKeys = false, temperature } = inputs;
  if (rope && (rope.dims < 2 || rope.dims > headDim || rope.dims % 2 !== 0)) {
    throw new KernelArgumentError(label, `RoPE over ${rope.dims} of ${headDim} dimensions; must be an even number up to these`);
  }
  if (queryStride < headDim || queryStride % 4 !== 0 || (queryStride > headDim && qkNorm === 'full')) {
    throw new KernelArgumentError(label, `query heads ${queryStride} elements apart; at least ${headDim}, a multiple of 4, and no more with a norm over all heads`);
  }
  const normed = qkNorm !== 'none';
  const weighted = normed && qkNorm !== 'unit';
  if (weighted !== (qNorm !== undefined) || weighted !== (kNorm !== undefined)) {
    throw new KernelArgumentError(label, `QK-norm "${qkNorm}" ${weighted ? 'needs both norm weights' : 'takes no norm weights'}`);
  }
  if (qkNorm === 'full' && (qkNormLast || valueNorm)) throw new KernelArgumentError(label, 'a norm over all heads goes with neither qkNormLast nor valueNorm');
  if (valuesAreKeys && headDim !== valueDim) throw new KernelArgumentError(label, `values of ${valueDim} dimensions that are keys of ${headDim}`);
  return {
    conditions: {
      ROPE: rope !== null,
      NEOX: rope?.kind === 'neox',
      NORM: normed,
      NORM_LAST: normed && qkNormLast,
      FULL_NORM: qkNorm === 'full',
      UNIT_NORM: qkNorm === 'unit',
      VALUE_NORM: valueNorm,
      VALUES_ARE_KEYS: valuesAreKeys,
      TEMPERATURE: Boolean(temperature),
    },
    constants: {
      QUERY_STRIDE: queryStride,
      ...(rope ? { ROPE_DIMS: rope.dims } : {}),
      ...(normed || valueNorm ? { EPS: qkNormEps } : {}),
      ...(temperature ? { TEMPERATURE_SCALE: temperature.scale, TEMPERATURE_LENGTH: temperature.length } : {}),
    },
    bindings: {
      0: qkv,
      ...(rope ? { 6: rope.table } : {}),
      ...(qNorm ? { 7: qNorm } : {}),
      ...(kNorm ? { 8: kNorm } : {}),
    },
  };
}

import { checkAttention, type AttentionShape } from './attention-shape.ts';
import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import type { Step } from './step.ts';

export interface RopeAndCacheArgs extends AttentionShape {
  readonly label: string;
  /** [tokens, heads · headDim + kvHeads · headDim + kvHeads · valueDim] f32: queries, keys, values */
  readonly qkv: GPUBufferBinding;
  /** [tokens, heads, headDim] f32, written */
  readonly q: GPUBufferBinding;
  /** [positions, kvHeads, headDim] f32; the tokens' positions are written */
  readonly kCache: GPUBufferBinding;
  /** [positions, kvHeads, valueDim] f32; the tokens' positions are written */
  readonly vCache: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** RMSNorm of queries and keys before the rotation: over each head, or over all heads at once. */
  readonly qkNorm: 'none' | 'per-head' | 'full';
  readonly qkNormEps: number;
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

/**
 * QK-norm, RoPE and write to the KV cache of the batch's tokens, in one dispatch. The host checks that their positions
 * are within cache and table. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function ropeAndCache(context: ShaderContext, args: RopeAndCacheArgs): Promise<Step> {
  const { label, qkv, q, kCache, vCache, batch, heads, kvHeads, headDim, valueDim, qkNorm, qkNormEps, qNorm, kNorm, rope } = args;
  checkAttention(context, label, args);
  if (rope && (rope.dims < 2 || rope.dims > headDim || rope.dims % 2 !== 0)) {
    throw new KernelArgumentError(label, `RoPE over ${rope.dims} of ${headDim} dimensions; must be an even number up to these`);
  }
  const normed = qkNorm !== 'none';
  if (normed !== (qNorm !== undefined) || normed !== (kNorm !== undefined)) {
    throw new KernelArgumentError(label, `QK-norm "${qkNorm}" ${normed ? 'needs both norm weights' : 'takes no norm weights'}`);
  }
  // Over all heads at once: queries, keys and values are a workgroup each.
  const across = qkNorm === 'full' ? 3 : heads + 2 * kvHeads;
  return context.step({
    label,
    module: 'rope_and_cache',
    conditions: { ROPE: rope !== null, NEOX: rope?.kind === 'neox', CACHE_WRITE: true, NORM: normed, FULL_NORM: qkNorm === 'full' },
    constants: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_VECTORS: headDim / 4,
      VALUE_VECTORS: valueDim / 4,
      ...(rope ? { ROPE_DIMS: rope.dims } : {}),
      ...(normed ? { EPS: qkNormEps } : {}),
    },
    bindings: {
      0: qkv,
      1: q,
      2: kCache,
      3: vCache,
      4: batch,
      ...(rope ? { 5: rope.table } : {}),
      ...(qNorm ? { 6: qNorm } : {}),
      ...(kNorm ? { 7: kNorm } : {}),
    },
    workgroups: ({ tokens }) => [across, tokens, 1],
  });
}

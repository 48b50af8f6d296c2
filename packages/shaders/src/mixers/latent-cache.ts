import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/mixers/latent_cache.wesl?raw';

export interface LatentCacheArgs {
  readonly label: string;
  readonly heads: number;
  /** Size of a query head's parts without and with rotation. */
  readonly plainDim: number;
  readonly ropeDim: number;
  readonly latentDim: number;
  /** [tokens, stride] f32, with `latentDim` of latent vector and `ropeDim` of key from `first` on */
  readonly row: { readonly buffer: GPUBufferBinding; readonly stride: number; readonly first: number };
  /** [tokens, stride] f32, with heads of `plainDim` + `ropeDim` */
  readonly q: { readonly buffer: GPUBufferBinding; readonly stride: number };
  /** RMSNorm of the latent vector: weight is [latentDim] f32. */
  readonly norm: { readonly weight: GPUBufferBinding; readonly eps: number };
  /** [positions, ropeDim / 2, 2] f32, made by `ropeTable` */
  readonly table: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** [tokens, heads, latentDim + ropeDim] f32; each head's last `ropeDim` are written */
  readonly query: GPUBufferBinding;
  /** [positions, latentDim + ropeDim] f32; the tokens' positions are written */
  readonly cache: GPUBufferBinding;
}

/**
 * Latent vector and rotated key of the batch's tokens into the cache, and the rotated part of their queries, for multi-head
 * latent attention. Neighbours (2i, 2i + 1) are rotated. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function latentCache(context: ShaderContext, args: LatentCacheArgs): Promise<Step> {
  const { label, heads, plainDim, ropeDim, latentDim, row, q, norm, table, batch, query, cache } = args;
  if (ropeDim < 2 || ropeDim % 2 !== 0) throw new KernelArgumentError(label, `RoPE over ${ropeDim} dimensions; must be an even number above 0`);
  if (row.first + latentDim + ropeDim > row.stride) {
    throw new KernelArgumentError(label, `${latentDim} + ${ropeDim} elements from ${row.first} on in rows of ${row.stride}`);
  }
  if (heads * (plainDim + ropeDim) > q.stride) throw new KernelArgumentError(label, `${heads} heads of ${plainDim + ropeDim} in rows of ${q.stride}`);
  return context.step({
    label,
    module: 'mixers/latent_cache',
    sources: { 'mixers/latent_cache.wesl': source },
    constants: {
      HEADS: heads,
      ROW: row.stride,
      FIRST: row.first,
      Q_ROW: q.stride,
      PLAIN: plainDim,
      LATENT: latentDim,
      ROPE_DIMS: ropeDim,
      EPS: norm.eps,
    },
    bindings: { 0: row.buffer, 1: q.buffer, 2: norm.weight, 3: table, 4: batch, 5: query, 6: cache },
    workgroups: ({ tokens }) => [heads + 1, tokens, 1],
  });
}

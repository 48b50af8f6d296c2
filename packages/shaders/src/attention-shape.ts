import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';

/** Heads of one attention layer. Queries are [tokens, heads, headDim]; query head h reads key/value head h · kvHeads / heads, rounded down. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  /** Size of a query or key head. */
  readonly headDim: number;
  /** Size of a value head. */
  readonly valueDim: number;
}

/** What a KV cache holds. f16 takes the device feature `shader-f16`. */
export type CacheType = 'f32' | 'f16';

/** What attention over a KV cache reads and writes, whatever the number of tokens. */
export interface AttentionArgs extends AttentionShape {
  readonly label: string;
  /** [positions, kvHeads, headDim] of `cacheType` */
  readonly kCache: GPUBufferBinding;
  /** [positions, kvHeads, valueDim] of `cacheType`; absent where a value is the first `valueDim` elements of its key (MLA) */
  readonly vCache?: GPUBufferBinding;
  /** Default: f32. */
  readonly cacheType?: CacheType;
  /** [tokens, heads, valueDim] f32, written */
  readonly out: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** Factor on q·k. */
  readonly scale: number;
  /** Positions that a token sees, itself included; 0 = all. */
  readonly window: number;
  /** The window does not slide: a token sees the positions since the last multiple of `window`. Default: false. */
  readonly chunked?: boolean;
  /** Scores become c · tanh(score / c); 0 = off. */
  readonly softcap: number;
  /** [heads] f32: a logit a head that joins the softmax and has no value. */
  readonly sinks?: GPUBufferBinding;
}

/** Throws `KernelArgumentError` for heads that the attention kernels would misread. */
export function checkAttention(context: ShaderContext, label: string, shape: AttentionShape, mostValueDim = Infinity): void {
  const { heads, kvHeads, headDim, valueDim } = shape;
  if (heads < 1 || kvHeads < 1 || !Number.isInteger(heads / kvHeads)) {
    throw new KernelArgumentError(label, `${heads} query heads over ${kvHeads} key/value heads; must be a whole multiple`);
  }
  if (headDim < 4 || headDim % 4 !== 0) throw new KernelArgumentError(label, `heads of ${headDim} dimensions; must be a multiple of 4`);
  if (valueDim < 4 || valueDim % 4 !== 0 || valueDim > mostValueDim) {
    throw new KernelArgumentError(label, `values of ${valueDim} dimensions; must be a multiple of 4${mostValueDim < Infinity ? ` up to ${mostValueDim}` : ''}`);
  }
  const limit = context.device.limits.maxComputeWorkgroupsPerDimension;
  if (heads + 2 * kvHeads > limit) throw new KernelArgumentError(label, `${heads + 2 * kvHeads} heads of queries, keys and values; at most ${limit}`);
}

/** What makes an attention kernel's variant beside its shape. */
export type AttentionVariant = AttentionShape & Pick<AttentionArgs, 'cacheType' | 'scale' | 'window' | 'chunked' | 'softcap'>;

/** Conditions and constants of attention_score.wesl and kv_cache.wesl. @param latent values are the starts of their keys */
export function attentionRequest({ heads, kvHeads, headDim, valueDim, cacheType = 'f32', scale, window, chunked = false, softcap }: AttentionVariant, latent: boolean): {
  readonly conditions: Readonly<Record<string, boolean>>;
  readonly constants: Readonly<Record<string, number>>;
} {
  return {
    conditions: { SOFTCAP: softcap > 0, WINDOW: window > 0, CHUNKED: chunked, LATENT: latent, KV_F16: cacheType === 'f16' },
    constants: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_VECTORS: headDim / 4,
      VALUE_VECTORS: valueDim / 4,
      SCALE: scale,
      ...(softcap > 0 ? { SOFTCAP_AT: softcap } : {}),
      ...(window > 0 ? { WINDOW_LENGTH: window } : {}),
    },
  };
}

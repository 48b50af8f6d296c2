import { gemm, gemv, rmsNorm, type Step } from '@gatefold/shaders';
import type { RowsContext } from './mixer.ts';

export interface ProductArgs {
  /** Name of the stage within the layer. */
  readonly stage: string;
  /** [tokens, inputs] f32 */
  readonly x: GPUBuffer;
  /** Elements from a token's row of x to the next; default: the weights' inputs. Needs `norm`. */
  readonly stride?: number;
  /** RMSNorm of x before the product, whose result lies in `into` for many tokens, and with `keep` for one as well. */
  readonly norm?: { readonly weight: string; readonly eps: number; readonly into: GPUBuffer; readonly keep?: boolean };
  /** Stacked weights by name. */
  readonly weights: string;
  readonly bias?: string;
  /** [tokens, outputs] f32; not the same buffer as `x` */
  readonly out: GPUBuffer;
  /** Adds to `out`, times the layer's factor for the residual stream, instead of overwriting it. */
  readonly residual?: boolean;
}

/** Matrix product for a pass's tokens: for one token a GEMV with the norm in it, else norm and GEMM. */
export async function product({ plan, session, layer, mode }: RowsContext, args: ProductArgs): Promise<readonly Step[]> {
  const { shaders, weights, chunk } = plan;
  const { stage, norm, residual = false } = args;
  const scale = residual ? layer.residualScale : 1;
  const label = `layer.${layer.index}.${stage}`;
  const x = { buffer: args.x };
  const stacked = weights.stacked(args.weights);
  const common = { label, weights: stacked, out: { buffer: args.out }, scale, residual, ...(args.bias ? { bias: weights.vector(args.bias) } : {}) };
  const normed = norm && { buffer: norm.into };
  const normArgs = norm && { weight: weights.vector(norm.weight), eps: norm.eps };
  if (mode === 'decode') {
    return [await gemv(shaders, { ...common, x, ...(normArgs ? { norm: normArgs } : {}), ...(normed && norm.keep ? { normOut: normed } : {}) })];
  }
  const multiply = gemm(shaders, { ...common, x: normed ?? x, batch: { buffer: session.batch }, maxTokens: chunk });
  if (!normed || !normArgs) return [await multiply];
  const width = stacked.matrices[0]?.cols ?? 0;
  return Promise.all([rmsNorm(shaders, { label: `${label}_norm`, x, ...normArgs, out: normed, width, stride: args.stride ?? width }), multiply]);
}

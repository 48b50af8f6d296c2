import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { gemmTile, type GemmTile } from './gemm-tile.ts';
import type { StackedWeights } from './planar.ts';
import type { Step } from './step.ts';
import { stackedRequest } from './weights.ts';

/** Passes of up to so many tokens have kernels of their own (few/). */
export const MOST_FEW = 8;
/** Up to so many rows gemm_thin.wesl takes, whose small tiles occupy a GPU with a router's few outputs. */
const MOST_THIN_ROWS = 256;
const THIN_TILE: GemmTile = { rows: 16, columns: 16, conditions: {} };

export interface GemmArgs {
  readonly label: string;
  /** [tokens, cols] f32 */
  readonly x: GPUBufferBinding;
  /** Up to three matrices of [rows, cols] in one buffer; their outputs are concatenated. */
  readonly weights: StackedWeights;
  /** [tokens, outStride] f32; each token's [total rows] are written from `outOffset` on; not the same buffer as `x` */
  readonly out: GPUBufferBinding;
  /** Element of a token's row that the first output goes to; default 0. */
  readonly outOffset?: number;
  /** Elements from a token's row to the next; default: the total rows. */
  readonly outStride?: number;
  /** [total rows] f32, added */
  readonly bias?: GPUBufferBinding;
  /** Factor on product and bias; default 1. */
  readonly scale?: number;
  /** Adds to `out` instead of overwriting it. */
  readonly residual?: boolean;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** Most tokens in a pass. */
  readonly maxTokens: number;
}

/** Matrix product for the batch's tokens: out[t] = scale · (W x[t] + bias), or out[t] += that. */
export async function gemm(context: ShaderContext, args: GemmArgs): Promise<Step> {
  const { label, x, weights, out, outOffset = 0, bias, scale = 1, residual = false, batch, maxTokens } = args;
  if (maxTokens <= MOST_FEW) return (await import('./few/few.ts')).gemmFew(context, args);
  const { conditions, constants, rows } = stackedRequest(label, weights);
  const outStride = args.outStride ?? rows;
  if (outOffset + rows > outStride) throw new KernelArgumentError(label, `${rows} outputs from ${outOffset} on in rows of ${outStride}`);
  const thin = rows <= MOST_THIN_ROWS;
  const tile = thin ? THIN_TILE : gemmTile(context, weights.matrices.map(({ type }) => type));
  const limit = context.device.limits.maxComputeWorkgroupsPerDimension;
  if (Math.max(maxTokens / tile.rows, rows / tile.columns) > limit) {
    throw new KernelArgumentError(label, `${maxTokens} tokens by ${rows} outputs; at most ${limit} tiles of ${tile.rows} by ${tile.columns} each way`);
  }
  return context.step({
    label,
    module: thin ? 'gemm_thin' : 'gemm',
    conditions: { ...conditions, ...tile.conditions, BIAS: bias !== undefined, RESIDUAL: residual },
    constants: { ...constants, ROWS: rows, OUT_OFFSET: outOffset, SCALE: scale, OUT_STRIDE: outStride },
    bindings: { 0: weights.binding, 1: x, 2: out, 3: batch, ...(bias ? { 4: bias } : {}) },
    workgroups: ({ tokens }) => [Math.ceil(rows / tile.columns), Math.ceil(tokens / tile.rows), 1],
  });
}

import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import type { StackedWeights } from './planar.ts';
import type { Step } from './step.ts';
import { stackedRequest } from './weights.ts';

/** Tokens and outputs of a tile. */
const TILE_TOKENS = 32;
const TILE_OUTPUTS = 64;

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
  const { conditions, constants, rows } = stackedRequest(label, weights);
  const outStride = args.outStride ?? rows;
  if (outOffset + rows > outStride) throw new KernelArgumentError(label, `${rows} outputs from ${outOffset} on in rows of ${outStride}`);
  const limit = context.device.limits.maxComputeWorkgroupsPerDimension;
  if (Math.max(maxTokens / TILE_TOKENS, rows / TILE_OUTPUTS) > limit) {
    throw new KernelArgumentError(label, `${maxTokens} tokens by ${rows} outputs; at most ${limit} tiles of ${TILE_TOKENS} by ${TILE_OUTPUTS} each way`);
  }
  return context.step({
    label,
    module: 'gemm',
    conditions: { ...conditions, BIAS: bias !== undefined, RESIDUAL: residual },
    constants: { ...constants, ROWS: rows, OUT_OFFSET: outOffset, SCALE: scale, OUT_STRIDE: outStride },
    bindings: { 0: weights.binding, 1: x, 2: out, 3: batch, ...(bias ? { 4: bias } : {}) },
    workgroups: ({ tokens }) => [Math.ceil(rows / TILE_OUTPUTS), Math.ceil(tokens / TILE_TOKENS), 1],
  });
}

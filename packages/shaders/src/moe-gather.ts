import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import type { Step } from './step.ts';

export interface MoeGatherArgs {
  readonly label: string;
  /** [tokens · topK, width] f32: each assignment's expert output, as `groupedDown` leaves it */
  readonly y: GPUBufferBinding;
  /** [tokens, topK] f32 */
  readonly weights: GPUBufferBinding;
  /** [tokens, width] f32 */
  readonly out: GPUBufferBinding;
  /** A multiple of 4. */
  readonly width: number;
  readonly topK: number;
  /** Factor on the sum; default 1. */
  readonly scale?: number;
  /** Adds to `out` (default) or overwrites it. */
  readonly residual?: boolean;
}

/** Sums up each token's weighted expert outputs, in ascending order of choice. */
export async function moeGather(context: ShaderContext, { label, y, weights, out, width, topK, scale = 1, residual = true }: MoeGatherArgs): Promise<Step> {
  if (width % 4 !== 0) throw new KernelArgumentError(label, `width ${width} is no multiple of 4`);
  return context.step({
    label,
    module: 'moe_gather',
    conditions: { RESIDUAL: residual },
    constants: { VECTORS: width / 4, TOP_K: topK, SCALE: scale },
    bindings: { 0: y, 1: weights, 2: out },
    workgroups: ({ tokens }) => [Math.ceil(width / 4 / 64), tokens, 1],
  });
}

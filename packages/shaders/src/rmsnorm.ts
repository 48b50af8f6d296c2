import type { ShaderContext } from './context.ts';
import type { Step } from './step.ts';

export interface RmsNormArgs {
  readonly label: string;
  /** [tokens, stride] f32, of which the first `width` are normed */
  readonly x: GPUBufferBinding;
  /** [width] f32 */
  readonly weight: GPUBufferBinding;
  /** [tokens, width] f32; not the same buffer as `x` */
  readonly out: GPUBufferBinding;
  readonly width: number;
  /** Elements from a token's row of x to the next; default: `width`. */
  readonly stride?: number;
  readonly eps: number;
  /** Adds to `out` instead of overwriting it. */
  readonly residual?: boolean;
  /** [1] f32: factor on what `out` then is */
  readonly outScale?: GPUBufferBinding;
}

/** RMSNorm over each token's row (arXiv 1910.07467): one workgroup a token. */
export function rmsNorm(context: ShaderContext, { label, x, weight, out, width, stride = width, eps, residual = false, outScale }: RmsNormArgs): Promise<Step> {
  return context.step({
    label,
    module: 'rmsnorm',
    conditions: { RESIDUAL: residual, OUT_SCALE: outScale !== undefined },
    constants: { THREADS: context.threads(256), WIDTH: width, STRIDE: stride, EPS: eps },
    bindings: { 0: x, 1: weight, 2: out, ...(outScale ? { 3: outScale } : {}) },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}

import type { ShaderContext } from '../context.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/rare/layer_norm.wesl?raw';

export interface LayerNormArgs {
  readonly label: string;
  /** [tokens, width] f32 */
  readonly x: GPUBufferBinding;
  /** [width] f32 */
  readonly weight: GPUBufferBinding;
  /** [width] f32 */
  readonly bias: GPUBufferBinding;
  /** [tokens, width] f32, written; not the same buffer as `x` */
  readonly out: GPUBufferBinding;
  readonly width: number;
  readonly eps: number;
}

/** LayerNorm over each token's row (arXiv 1607.06450): one workgroup a token. */
export function layerNorm(context: ShaderContext, { label, x, weight, bias, out, width, eps }: LayerNormArgs): Promise<Step> {
  return context.step({
    label,
    module: 'rare/layer_norm',
    sources: { 'rare/layer_norm.wesl': source },
    constants: { WIDTH: width, EPS: eps },
    bindings: { 0: x, 1: weight, 2: bias, 3: out },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}

import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { StackedWeights } from '../planar.ts';
import type { Step } from '../step.ts';
import { stackedRequest } from '../weights.ts';
import source from '../wgsl/rare/residual_mix.wesl?raw';

export interface ResidualMixArgs {
  readonly label: string;
  /** [tokens, cols] f32: what the experts and the MLP get */
  readonly x: GPUBufferBinding;
  /** [2, cols]: the experts' row, then the MLP's */
  readonly weights: StackedWeights;
  /** [2] f32 */
  readonly bias: GPUBufferBinding;
  /** [tokens, topK] f32: the router's weights */
  readonly routeWeights: GPUBufferBinding;
  readonly topK: number;
  /** [tokens, 2] f32, written: shares of the experts and of the MLP */
  readonly coefficients: GPUBufferBinding;
  /** [tokens, topK] f32, written: the router's weights times the experts' share */
  readonly expertWeights: GPUBufferBinding;
  /** [tokens] f32, written: the MLP's share */
  readonly mlpWeights: GPUBufferBinding;
}

/**
 * How residual MoE mixes routed experts with the MLP beside them: a softmax over two learned logits of each token
 * (arXiv 2201.05596 §4.1.2), handed on as weights for the experts and for the MLP, which runs as a pool of one expert.
 */
export async function residualMix(context: ShaderContext, args: ResidualMixArgs): Promise<Step> {
  const { label, x, weights, bias, routeWeights, topK, coefficients, expertWeights, mlpWeights } = args;
  const { conditions, constants, rows } = stackedRequest(label, weights);
  if (rows !== 2) throw new KernelArgumentError(label, `${rows} rows of coefficients; residual MoE mixes two parts`);
  return context.step({
    label,
    module: 'rare/residual_mix',
    sources: { 'rare/residual_mix.wesl': source },
    conditions,
    constants: { ...constants, THREADS: context.threads(64), TOP_K: topK },
    bindings: { 0: weights.binding, 1: x, 2: bias, 3: routeWeights, 4: coefficients, 5: expertWeights, 6: mlpWeights },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}

import { rmsNorm, type Step } from '@gatefold/shaders';
import type { LayerSpec, MoeSpec, NormSpec, ParallelNorms } from '../model/spec.ts';
import { expertSteps, type ExpertGroup, type Mode, type Steps } from './expert-steps.ts';
import type { PlanContext } from './plan-context.ts';
import type { Tap } from './plan.ts';
import type { PassBuffers } from './session-buffers.ts';

/** Where an FFN's outputs go: `out` is added to, or overwritten by the first of them. */
export type Target = Pick<ExpertGroup, 'out' | 'residual' | 'scale'>;

/** What a layer computes beside its routed experts. */
export interface BesideSteps {
  /** After the router's choice, before the routed experts. */
  readonly before: Steps;
  /** After the routed experts. */
  readonly after: Steps;
  /** What the routed experts read, and where their sum goes. */
  readonly routed: Pick<ExpertGroup, 'x'> & Target & { readonly weights: GPUBufferBinding };
  readonly taps: readonly Tap[];
}

/** An FFN with something beside its routed experts. */
type WithBeside = MoeSpec & { readonly shared: Exclude<MoeSpec['shared'], { readonly kind: 'none' }> };

/** A shared expert or a dense MLP runs as a pool of one expert that every token uses. */
export function besideSteps(plan: PlanContext, session: PassBuffers, layer: LayerSpec, ffn: WithBeside, routed: BesideSteps['routed'], mode: Mode): BesideSteps {
  const { scratch, spec } = plan;
  const { index } = layer;
  const { shared, topK, activation } = ffn;
  const { x, weights, ...target } = routed;
  const weighted = shared.kind === 'residual' || (shared.kind === 'shared' && shared.gated);
  const group: ExpertGroup = {
    ...target,
    // Added to what the routed experts have left.
    residual: true,
    label: `layer.${index}.shared`,
    placed: plan.weights.shared(index),
    experts: 1,
    topK: 1,
    activation,
    route: { ids: { buffer: plan.denseIds }, weights: { buffer: weighted ? scratch.sharedWeights : plan.ones } },
    x,
    // In decode a buffer of its own: neither first half waits for the other.
    hidden: { buffer: mode === 'decode' ? scratch.sharedHidden : scratch.hidden },
  };
  if (shared.kind === 'parallel') {
    const mlpOut = plan.activations('mlp_output', spec.hiddenSize);
    const mlp = expertSteps(plan, session, { ...group, out: mlpOut, residual: false }, mode).flat();
    return parallelSteps(plan, layer, shared.norms, mlp, mlpOut, routed);
  }
  const [first, second] = expertSteps(plan, session, group, mode);
  const [before, after] = mode === 'decode' ? [first, second] : [[], [...first, ...second]];
  if (shared.kind === 'shared') return { before, after, routed, taps: [] };
  const mixed = { buffer: scratch.mixedWeights };
  return {
    before: [residualMixStep(plan, index, topK, weights, mixed), ...before],
    after,
    routed: { ...routed, weights: mixed },
    taps: [{ name: `moe.${index}.coefficient`, dtype: 'F32', buffer: scratch.coefficients, offset: 0, width: 2 }],
  };
}

/** Residual MoE: a learned softmax mixes the dense MLP with the routed experts. */
async function residualMixStep({ shaders, scratch, weights }: PlanContext, layer: number, topK: number, routeWeights: GPUBufferBinding, expertWeights: GPUBufferBinding): Promise<Step> {
  const { residualMix } = await import('@gatefold/shaders/rare');
  return residualMix(shaders, {
    label: `layer.${layer}.residual_mix`,
    x: { buffer: scratch.normed },
    weights: weights.stacked(`blk.${layer}.ffn_coefficient.weight`),
    bias: weights.vector(`blk.${layer}.ffn_coefficient.bias`),
    routeWeights,
    topK,
    coefficients: { buffer: scratch.coefficients },
    expertWeights,
    mlpWeights: { buffer: scratch.sharedWeights },
  });
}

/** A dense MLP and the experts, each with norms of its own before and after. @param sum where both go */
function parallelSteps(plan: PlanContext, { index }: LayerSpec, norms: ParallelNorms, mlp: Steps, mlpOut: GPUBuffer, sum: BesideSteps['routed']): BesideSteps {
  const { shaders, scratch, spec, weights } = plan;
  const width = spec.hiddenSize;
  const expertsIn = plan.activations('experts_input', width);
  const expertsOut = plan.activations('experts_output', width);
  const normed = ({ tensor, eps }: NormSpec, from: GPUBuffer, to: GPUBuffer, residual: boolean): Promise<Step> =>
    rmsNorm(shaders, { label: `layer.${index}.${tensor}`, x: { buffer: from }, weight: weights.vector(`blk.${index}.${tensor}.weight`), eps, out: { buffer: to }, width, residual });
  return {
    before: [normed(norms.expertsIn, scratch.x, expertsIn, false), ...mlp],
    after: [normed(norms.mlpOut, mlpOut, sum.out, sum.residual), normed(norms.expertsOut, expertsOut, sum.out, true)],
    routed: { ...sum, x: expertsIn, out: expertsOut, residual: false },
    taps: [],
  };
}

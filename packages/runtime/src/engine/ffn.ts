import { choosesExperts, gemm, gemv, rmsNorm, routerTopK, type RouterChoice, type Step } from '@gatefold/shaders';
import type { LayerSpec, MoeSpec } from '../model/spec.ts';
import type { BesideSteps, Target } from './beside.ts';
import { expertSteps, type Mode, type Route, type Steps } from './expert-steps.ts';
import { joinResidual } from './join-residual.ts';
import { normStep } from './norm.ts';
import { moeLayers, RESULT_BYTES, type PassBuffers } from './session-buffers.ts';
import type { PlanContext } from './plan-context.ts';
import type { RoutedSteps, Tap } from './plan.ts';
import { ROUTE_BYTES, routerRows } from './scratch.ts';

export interface FfnSteps {
  readonly steps: readonly Step[];
  readonly taps: readonly Tap[];
  /** Counted from the first of `steps`. */
  readonly routed?: RoutedSteps;
}

/** Norm, router and experts of one layer. A dense FFN runs as one expert that every token uses with weight 1. */
export async function ffnSteps(plan: PlanContext, session: PassBuffers, layer: LayerSpec, mode: Mode): Promise<FfnSteps> {
  const { scratch } = plan;
  const { index, ffn } = layer;
  const label = (stage: string) => `layer.${index}.${stage}`;
  const joining = joinResidual(plan, layer, 'ffn');
  const target = { out: joining.out, residual: joining.residual, scale: layer.residualScale };

  if (ffn.kind === 'dense') {
    const route = { ids: { buffer: plan.denseIds }, weights: { buffer: plan.ones } };
    const whole = { ...ffn, ...target, label: label('expert'), placed: plan.weights.experts(index), experts: 1, topK: 1, route, x: scratch.normed, hidden: { buffer: scratch.hidden } };
    return { steps: await inOrder([ffnNormStep(plan, layer), ...expertSteps(plan, session, whole, mode).flat(), ...joining.steps]), taps: [] };
  }
  const route = routeBuffers(plan, session, index, mode);
  const logits = { buffer: scratch.routerLogits };
  const buffers = { ...scratch, logits };
  const choice = routerChoice(plan, index, ffn, logits);
  // One token's experts are chosen along with their first half, unless something comes in between.
  const choosing = mode === 'decode' && !plan.paged && isPlain(ffn) && choosesExperts(choice, plan.weights.experts(index).gateUp);
  const choose = choosing ? [] : [routerStep(plan, index, ffn, route, buffers)];
  const beside = await besideSteps(plan, session, layer, ffn, route, target, mode);
  const onInput = ffn.router.weightOn === 'input';
  const group = {
    ...ffn,
    ...beside.routed,
    label: label('expert'),
    placed: plan.weights.experts(index),
    ...(choosing ? { choice } : {}),
    route: { ...route, weights: onInput ? { buffer: plan.ones } : beside.routed.weights },
    ...(onInput ? { inputWeights: route.weights } : {}),
    hidden: { buffer: scratch.hidden },
  };
  const parts = [[...routerLogitsSteps(plan, session, layer, ffn, buffers, mode), ...choose, ...mixerSteps(plan, index, ffn, route, logits), ...beside.before], ...expertSteps(plan, session, group, mode), [...beside.after, ...joining.steps]];
  const [before = [], first = [], second = [], after = []] = await Promise.all(parts.map(inOrder));
  // The last of the first half and the first of the second read the experts' weights.
  const start = before.length + first.length - 1;
  const steps = [...before, ...first, ...second, ...after];
  // What runs beside the experts only adds to their sum, unless that has a norm of its own.
  const joined = ffn.shared.kind === 'parallel' ? steps.length - after.length : steps.length - joining.steps.length;
  const { x, out, scale } = group;
  const routed = { layer: index, ids: route.ids, topK: ffn.topK, first: start, end: start + 2, joined, x, out, scale, weights: group.inputWeights ?? group.route.weights };
  return { steps, taps: [...routerTaps(plan, ffn, index, route), ...beside.taps], routed };
}

/** What runs beside the routed experts, whose code comes with the models that have something there. */
async function besideSteps(plan: PlanContext, session: PassBuffers, layer: LayerSpec, ffn: MoeSpec, route: Route, target: Target, mode: Mode): Promise<BesideSteps> {
  const routed = { ...target, x: plan.scratch.normed, weights: route.weights };
  if (ffn.shared.kind === 'none') return { before: [], after: [], routed, taps: [] };
  const beside = await import('./beside.ts');
  return beside.besideSteps(plan, session, layer, { ...ffn, shared: ffn.shared }, routed, mode);
}

/** Each MoE layer's choice has a place of its own: in decode within the result that the host reads. */
function routeBuffers({ scratch, spec }: PlanContext, session: PassBuffers, layer: number, mode: Mode): Route {
  const weights = { buffer: scratch.expertWeights };
  const place = moeLayers(spec).findIndex(({ index }) => index === layer);
  const stride = scratch.expertIdsStride;
  if (mode === 'prefill') return { ids: { buffer: scratch.expertIds, offset: place * stride, size: stride }, weights };
  return { ids: { buffer: session.result, offset: RESULT_BYTES + place * ROUTE_BYTES, size: ROUTE_BYTES }, weights };
}

/** What a router writes beside its choice. */
export interface RouterBuffers {
  /** [tokens, experts (and one more where a shared expert is gated)] f32 */
  readonly logits: GPUBufferBinding;
  /** [tokens, d] f32: the experts' input */
  readonly normed: GPUBuffer;
  /** [tokens] f32 */
  readonly sharedWeights: GPUBuffer;
}

/** The FFN's input: normed = norm(x). */
function ffnNormStep(plan: PlanContext, { index, ffnNorm }: LayerSpec, normed = plan.scratch.normed): Promise<Step> {
  return normStep(plan, `layer.${index}.ffn_norm`, ffnNorm, `blk.${index}.`, plan.scratch.x, normed);
}

/** The router's product, and the FFN's norm, which both read unless the router has a norm of its own. */
export function routerLogitsSteps(plan: PlanContext, session: PassBuffers, layer: LayerSpec, { router }: MoeSpec, { logits: out, normed: input }: RouterBuffers, mode: Mode): Steps {
  const { shaders, scratch, spec, weights } = plan;
  const { index, ffnNorm } = layer;
  const { eps } = ffnNorm;
  const block = `blk.${index}.`;
  const [x, normed] = [{ buffer: scratch.x }, { buffer: input }];
  const normStepOf = () => ffnNormStep(plan, layer, input);
  const bias = router.logitBias ? { bias: weights.vector(`${block}router.bias`) } : {};
  const project = { label: `layer.${index}.router_logits`, weights: weights.stacked(`${block}router`), ...bias, out };
  const many = { x: normed, batch: { buffer: session.batch }, maxTokens: plan.chunk };
  if (router.ownNorm) {
    const weight = weights.vector(`${block}ffn_gate_inp.scale`);
    const scale = 1 / Math.sqrt(spec.hiddenSize);
    if (mode === 'decode') return [gemv(shaders, { ...project, x, norm: { weight, eps }, scale }), normStepOf()];
    const norm = rmsNorm(shaders, { label: `layer.${index}.router_norm`, x, weight, eps, out: normed, width: spec.hiddenSize });
    return [norm, gemm(shaders, { ...project, ...many, scale }), normStepOf()];
  }
  if (mode === 'prefill') return [normStepOf(), gemm(shaders, { ...project, ...many })];
  if (ffnNorm.kind === 'layer') return [normStepOf(), gemv(shaders, { ...project, x: normed })];
  return [gemv(shaders, { ...project, x, norm: { weight: weights.vector(`${block}${ffnNorm.tensor}.weight`), eps }, normOut: normed })];
}

/** Whether nothing but the routed experts reads the router's logits and choice, and these only its weights. */
function isPlain({ router, shared }: MoeSpec): boolean {
  return shared.kind === 'none' && !router.sparseMixer && router.weightOn === 'output';
}

function routerChoice({ weights }: PlanContext, layer: number, { experts, topK, router }: MoeSpec, logits: GPUBufferBinding): RouterChoice {
  const block = `blk.${layer}.`;
  return {
    logits,
    experts,
    topK,
    router,
    ...(router.selectionBias ? { selectionBias: weights.vector(`${block}exp_probs_b.bias`) } : {}),
    ...(router.perExpertScale ? { expertScale: weights.vector(`${block}ffn_down_exps.scale`) } : {}),
  };
}

/** Choice and weights of the routed experts, and the shared expert's weight where it has a gate. */
export function routerStep(plan: PlanContext, layer: number, ffn: MoeSpec, route: Route, { logits, sharedWeights }: RouterBuffers): Promise<Step> {
  const { shared } = ffn;
  return routerTopK(plan.shaders, {
    label: `layer.${layer}.router_top_k`,
    ...routerChoice(plan, layer, ffn, logits),
    ...route,
    ...(shared.kind === 'shared' && shared.gated ? { sharedGate: { buffer: sharedWeights } } : {}),
  });
}

/** SparseMixer's weights in place of the router's. `close` is twice the jitter that models are trained with; no file tells another. */
function mixerSteps({ shaders }: PlanContext, layer: number, { experts, topK, router }: MoeSpec, route: Route, logits: GPUBufferBinding): Steps {
  if (!router.sparseMixer) return [];
  const args = { label: `layer.${layer}.sparse_mixer`, logits, ...route, experts, topK, close: 0.02 };
  return [import('@gatefold/shaders/rare').then(({ sparseMixer }) => sparseMixer(shaders, args))];
}

async function inOrder(steps: Steps): Promise<readonly Step[]> {
  return (await Promise.all(steps)).flat();
}

function routerTaps({ scratch }: PlanContext, ffn: MoeSpec, index: number, { ids, weights }: Route): readonly Tap[] {
  const { topK, experts } = ffn;
  return [
    { name: `moe.${index}.router_logits`, dtype: 'F32', buffer: scratch.routerLogits, offset: 0, width: experts, stride: routerRows(ffn) },
    { name: `moe.${index}.ids`, dtype: 'I32', buffer: ids.buffer, offset: ids.offset ?? 0, width: topK },
    { name: `moe.${index}.weights`, dtype: 'F32', buffer: weights.buffer, offset: 0, width: topK },
  ];
}

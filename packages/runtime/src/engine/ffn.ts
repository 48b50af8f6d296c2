import {
  expertDown,
  expertGateUp,
  gemm,
  gemv,
  groupedDown,
  groupedGateUp,
  moeGather,
  moePlan,
  residualMix,
  rmsNorm,
  routerTopK,
  type Step,
} from '@gatefold/shaders';
import type { Activation, LayerSpec, MoeSpec } from '../model/spec.ts';
import type { PlacedExperts } from '../residency/placement.ts';
import { moeLayers, RESULT_BYTES, type SessionBuffers } from './session-buffers.ts';
import type { PlanContext } from './plan-context.ts';
import type { RoutedSteps, Tap } from './plan.ts';
import { ROUTE_BYTES, routerRows } from './scratch.ts';

export interface FfnSteps {
  readonly steps: readonly Step[];
  readonly taps: readonly Tap[];
  /** Counted from the first of `steps`. */
  readonly routed?: RoutedSteps;
}

type Mode = 'decode' | 'prefill';

/** Norm, router and experts of one layer. A dense FFN runs as one expert that every token uses with weight 1. */
export async function ffnSteps(plan: PlanContext, session: SessionBuffers, layer: LayerSpec, mode: Mode): Promise<FfnSteps> {
  const { shaders, scratch, spec } = plan;
  const { index, ffn, ffnNorm } = layer;
  const norm = { weight: plan.weights.vector(`blk.${index}.${ffnNorm.tensor}.weight`), eps: ffnNorm.eps };
  const x = { buffer: scratch.x };
  const normed = { buffer: scratch.normed };
  const label = (stage: string) => `layer.${index}.${stage}`;
  const plainNorm = () => rmsNorm(shaders, { label: label('ffn_norm'), x, ...norm, out: normed, width: spec.hiddenSize });

  if (ffn.kind === 'dense') {
    const route = { ids: { buffer: plan.denseIds }, weights: { buffer: plan.ones } };
    const whole = { ...ffn, label: label('expert'), placed: plan.weights.experts(index), experts: 1, topK: 1, route, hidden: { buffer: scratch.hidden }, scale: layer.residualScale };
    const steps = await Promise.all([plainNorm(), ...expertSteps(plan, session, whole, mode).flat()]);
    return { steps: steps.flat(), taps: [] };
  }
  const route = routeBuffers(plan, session, index, mode);
  const router = plan.weights.stacked(`blk.${index}.router`);
  const bias = ffn.router.logitBias ? { bias: plan.weights.vector(`blk.${index}.router.bias`) } : {};
  const logits = { buffer: scratch.routerLogits };
  const batch = { buffer: session.batch };
  const score =
    mode === 'decode'
      ? [gemv(shaders, { label: label('router_logits'), x, norm, normOut: normed, weights: router, ...bias, out: logits })]
      : [
          plainNorm(),
          gemm(shaders, { label: label('router_logits'), x: normed, weights: router, ...bias, out: logits, batch, maxTokens: plan.chunk }),
        ];
  const choose = routerStep(plan, index, ffn, route, logits);
  const beside = besideSteps(plan, session, layer, ffn, route, mode);
  const onInput = ffn.router.weightOn === 'input';
  const group = {
    ...ffn,
    label: label('expert'),
    placed: plan.weights.experts(index),
    route: { ...route, weights: onInput ? { buffer: plan.ones } : beside.routedWeights },
    ...(onInput ? { inputWeights: route.weights } : {}),
    hidden: { buffer: scratch.hidden },
    scale: layer.residualScale,
  };
  const parts = [[...score, choose, ...beside.before], ...expertSteps(plan, session, group, mode), beside.after];
  const [before = [], first = [], second = [], after = []] = await Promise.all(parts.map(inOrder));
  // The last of the first half and the first of the second read the experts' weights.
  const start = before.length + first.length - 1;
  const routed = { layer: index, ids: route.ids, topK: ffn.topK, first: start, end: start + 2 };
  return { steps: [...before, ...first, ...second, ...after], taps: [...routerTaps(plan, ffn, index, route), ...beside.taps], routed };
}

interface Route {
  readonly ids: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
}

/** Each MoE layer's choice has a place of its own: in decode within the result that the host reads. */
function routeBuffers({ scratch, spec }: PlanContext, session: SessionBuffers, layer: number, mode: Mode): Route {
  const weights = { buffer: scratch.expertWeights };
  const place = moeLayers(spec).findIndex(({ index }) => index === layer);
  const stride = scratch.expertIdsStride;
  if (mode === 'prefill') return { ids: { buffer: scratch.expertIds, offset: place * stride, size: stride }, weights };
  return { ids: { buffer: session.result, offset: RESULT_BYTES + place * ROUTE_BYTES, size: ROUTE_BYTES }, weights };
}

/** Choice and weights of the routed experts, and the shared expert's weight where it has a gate. */
function routerStep({ shaders, scratch, weights }: PlanContext, layer: number, { experts, topK, router, shared }: MoeSpec, route: Route, logits: GPUBufferBinding): Promise<Step> {
  const block = `blk.${layer}.`;
  return routerTopK(shaders, {
    label: `layer.${layer}.router_top_k`,
    logits,
    ...route,
    experts,
    topK,
    router,
    ...(router.selectionBias ? { selectionBias: weights.vector(`${block}exp_probs_b.bias`) } : {}),
    ...(router.perExpertScale ? { expertScale: weights.vector(`${block}ffn_down_exps.scale`) } : {}),
    ...(shared.kind === 'shared' && shared.gated ? { sharedGate: { buffer: scratch.sharedWeights } } : {}),
  });
}

type Steps = readonly Promise<Step | readonly Step[]>[];

async function inOrder(steps: Steps): Promise<readonly Step[]> {
  return (await Promise.all(steps)).flat();
}

/** What a layer computes beside its routed experts. */
interface BesideSteps {
  /** After the router's choice, before the routed experts. */
  readonly before: Steps;
  /** After the routed experts. */
  readonly after: Steps;
  /** Weights of the routed experts' outputs. */
  readonly routedWeights: GPUBufferBinding;
  readonly taps: readonly Tap[];
}

/** A shared expert or residual MoE's dense MLP runs as a pool of one expert that every token uses. */
function besideSteps(plan: PlanContext, session: SessionBuffers, { index, residualScale }: LayerSpec, { shared, topK, activation }: MoeSpec, { weights }: Route, mode: Mode): BesideSteps {
  if (shared.kind === 'none') return { before: [], after: [], routedWeights: weights, taps: [] };
  const { scratch } = plan;
  const weighted = shared.kind === 'residual' || shared.gated;
  const [first, second] = expertSteps(
    plan,
    session,
    {
      label: `layer.${index}.shared`,
      placed: plan.weights.shared(index),
      experts: 1,
      topK: 1,
      width: shared.width,
      activation,
      route: { ids: { buffer: plan.denseIds }, weights: { buffer: weighted ? scratch.sharedWeights : plan.ones } },
      // In decode a buffer of its own: neither first half waits for the other.
      hidden: { buffer: mode === 'decode' ? scratch.sharedHidden : scratch.hidden },
      scale: residualScale,
    },
    mode,
  );
  const [before, after] = mode === 'decode' ? [first, second] : [[], [...first, ...second]];
  if (shared.kind === 'shared') return { before, after, routedWeights: weights, taps: [] };
  const mixed = { buffer: scratch.mixedWeights };
  return {
    before: [residualMixStep(plan, index, topK, weights, mixed), ...before],
    after,
    routedWeights: mixed,
    taps: [{ name: `moe.${index}.coefficient`, dtype: 'F32', buffer: scratch.coefficients, offset: 0, width: 2 }],
  };
}

/** Residual MoE: a learned softmax mixes the dense MLP with the routed experts. */
function residualMixStep({ shaders, scratch, weights }: PlanContext, layer: number, topK: number, routeWeights: GPUBufferBinding, expertWeights: GPUBufferBinding): Promise<Step> {
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

/** Experts that a token chooses `topK` of: a layer's routed ones, or a dense MLP as the only one. */
interface ExpertGroup {
  /** Prefix of its steps' labels. */
  readonly label: string;
  readonly placed: PlacedExperts;
  readonly experts: number;
  readonly topK: number;
  readonly width: number;
  readonly activation: Activation;
  readonly route: Route;
  /** [tokens · topK, width] f32 of scratch */
  readonly hidden: GPUBufferBinding;
  /** [tokens, topK] factors on the experts' inputs */
  readonly inputWeights?: GPUBufferBinding;
  /** Factor on what joins the residual stream. */
  readonly scale: number;
}

/** The experts themselves, in two halves: residual stream += weighted sum of the chosen experts' outputs. */
function expertSteps(plan: PlanContext, session: SessionBuffers, group: ExpertGroup, mode: Mode): readonly [first: Steps, second: Steps] {
  const { shaders, scratch, spec } = plan;
  const { placed, experts, topK, width, activation, route, hidden, scale } = group;
  const onInput = group.inputWeights ? { inputWeights: group.inputWeights } : {};
  const { gateUp, down, slots } = placed;
  const { ids, weights } = route;
  const x = { buffer: scratch.normed };
  const out = { buffer: scratch.x };
  const table = { buffer: slots };
  const label = (stage: string) => `${group.label}_${stage}`;
  if (mode === 'decode') {
    return [
      [expertGateUp(shaders, { label: label('gate_up'), x, ids, slots: table, pool: gateUp, hidden, topK, activation, ...onInput })],
      [expertDown(shaders, { label: label('down'), hidden, ids, weights, slots: table, pool: down, out, topK, scale })],
    ];
  }
  const maxTokens = plan.chunk;
  const tables = plan.moePlanBuffer({ experts, topK, maxTokens });
  const expertOut = { buffer: scratch.expertOut };
  return [
    [
      moePlan(shaders, { label: label('plan'), ids, experts, topK, maxTokens, width, hiddenSize: spec.hiddenSize, batch: { buffer: session.batch }, plan: tables }),
      groupedGateUp(shaders, { label: label('gate_up'), x, plan: tables, slots: table, pool: gateUp, hidden, topK, activation, ...onInput }),
    ],
    [
      groupedDown(shaders, { label: label('down'), hidden, plan: tables, slots: table, pool: down, out: expertOut }),
      moeGather(shaders, { label: label('gather'), y: expertOut, weights, out, width: spec.hiddenSize, topK, scale }),
    ],
  ];
}

function routerTaps({ scratch }: PlanContext, ffn: MoeSpec, index: number, { ids, weights }: Route): readonly Tap[] {
  const { topK, experts } = ffn;
  return [
    { name: `moe.${index}.router_logits`, dtype: 'F32', buffer: scratch.routerLogits, offset: 0, width: experts, stride: routerRows(ffn) },
    { name: `moe.${index}.ids`, dtype: 'I32', buffer: ids.buffer, offset: ids.offset ?? 0, width: topK },
    { name: `moe.${index}.weights`, dtype: 'F32', buffer: weights.buffer, offset: 0, width: topK },
  ];
}

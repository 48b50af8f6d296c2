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
import type { Tap } from './plan.ts';
import { ROUTE_BYTES } from './scratch.ts';

export interface FfnSteps {
  readonly steps: readonly Step[];
  readonly taps: readonly Tap[];
}

type Mode = 'decode' | 'prefill';

/** Norm, router and experts of one layer. A dense FFN runs as one expert that every token uses with weight 1. */
export async function ffnSteps(plan: PlanContext, session: SessionBuffers, layer: LayerSpec, mode: Mode): Promise<FfnSteps> {
  const { shaders, scratch, spec } = plan;
  const { index, ffn, ffnNorm } = layer;
  const norm = { weight: plan.weights.vector(`blk.${index}.ffn_norm.weight`), eps: ffnNorm.eps };
  const x = { buffer: scratch.x };
  const normed = { buffer: scratch.normed };
  const label = (stage: string) => `layer.${index}.${stage}`;
  const plainNorm = () => rmsNorm(shaders, { label: label('ffn_norm'), x, ...norm, out: normed, width: spec.hiddenSize });

  if (ffn.kind === 'dense') {
    const route = { ids: { buffer: plan.denseIds }, weights: { buffer: plan.denseWeights } };
    const whole = { ...ffn, label: label('expert'), placed: plan.weights.experts(index), experts: 1, topK: 1, route };
    const steps = await Promise.all([plainNorm(), ...expertSteps(plan, session, whole, mode)]);
    return { steps: steps.flat(), taps: [] };
  }
  const route = routeBuffers(plan, session, index, mode);
  const router = plan.weights.stacked(`blk.${index}.ffn_gate_inp.weight`);
  const logits = { buffer: scratch.routerLogits };
  const batch = { buffer: session.batch };
  const score =
    mode === 'decode'
      ? [gemv(shaders, { label: label('router_logits'), x, norm, normOut: normed, weights: router, out: logits })]
      : [
          plainNorm(),
          gemm(shaders, { label: label('router_logits'), x: normed, weights: router, out: logits, batch, maxTokens: plan.chunk }),
        ];
  const choose = routerTopK(shaders, {
    label: label('router_top_k'),
    logits,
    ids: route.ids,
    weights: route.weights,
    experts: ffn.experts,
    topK: ffn.topK,
    router: ffn.router,
  });
  const beside = besideSteps(plan, session, index, ffn, route, mode);
  const routed = { ...ffn, label: label('expert'), placed: plan.weights.experts(index), route: { ...route, weights: beside.routedWeights } };
  const steps = await Promise.all([...score, choose, ...beside.before, ...expertSteps(plan, session, routed, mode), ...beside.after]);
  return { steps: steps.flat(), taps: [...routerTaps(plan, ffn, index, route), ...beside.taps] };
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

type Steps = readonly Promise<Step | readonly Step[]>[];

/** What a layer computes beside its routed experts. */
interface BesideSteps {
  /** After the router's choice. */
  readonly before: Steps;
  /** After the routed experts. */
  readonly after: Steps;
  /** Weights of the routed experts' outputs. */
  readonly routedWeights: GPUBufferBinding;
  readonly taps: readonly Tap[];
}

/** Residual MoE: a dense MLP, which runs as a pool of one expert; a learned softmax mixes it with the routed experts. */
function besideSteps(plan: PlanContext, session: SessionBuffers, layer: number, { shared, topK, activation }: MoeSpec, { weights }: Route, mode: Mode): BesideSteps {
  if (shared.kind === 'none') return { before: [], after: [], routedWeights: weights, taps: [] };
  const { scratch, shaders } = plan;
  const coefficients = { buffer: scratch.coefficients };
  const expertWeights = { buffer: scratch.mixedWeights };
  const mlpWeights = { buffer: scratch.mlpWeights };
  const mix = residualMix(shaders, {
    label: `layer.${layer}.residual_mix`,
    x: { buffer: scratch.normed },
    weights: plan.weights.stacked(`blk.${layer}.ffn_coefficient.weight`),
    bias: plan.weights.vector(`blk.${layer}.ffn_coefficient.bias`),
    routeWeights: weights,
    topK,
    coefficients,
    expertWeights,
    mlpWeights,
  });
  const mlp: ExpertGroup = {
    label: `layer.${layer}.mlp`,
    placed: plan.weights.shared(layer),
    experts: 1,
    topK: 1,
    width: shared.width,
    activation,
    route: { ids: { buffer: plan.denseIds }, weights: mlpWeights },
  };
  return {
    before: [mix],
    after: expertSteps(plan, session, mlp, mode),
    routedWeights: expertWeights,
    taps: [{ name: `moe.${layer}.coefficient`, dtype: 'F32', buffer: scratch.coefficients, offset: 0, width: 2 }],
  };
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
}

/** The experts themselves: residual stream += weighted sum of the chosen experts' outputs. */
function expertSteps(plan: PlanContext, session: SessionBuffers, group: ExpertGroup, mode: Mode): Steps {
  const { shaders, scratch, spec } = plan;
  const { placed, experts, topK, width, activation, route } = group;
  const { gateUp, down, slots } = placed;
  const { ids, weights } = route;
  const x = { buffer: scratch.normed };
  const hidden = { buffer: scratch.hidden };
  const out = { buffer: scratch.x };
  const table = { buffer: slots };
  const label = (stage: string) => `${group.label}_${stage}`;
  if (mode === 'decode') {
    return [
      expertGateUp(shaders, { label: label('gate_up'), x, ids, slots: table, pool: gateUp, hidden, topK, activation }),
      expertDown(shaders, { label: label('down'), hidden, ids, weights, slots: table, pool: down, out, topK }),
    ];
  }
  const maxTokens = plan.chunk;
  const tables = plan.moePlanBuffer({ experts, topK, maxTokens });
  const expertOut = { buffer: scratch.expertOut };
  return [
    moePlan(shaders, { label: label('plan'), ids, experts, topK, maxTokens, width, hiddenSize: spec.hiddenSize, batch: { buffer: session.batch }, plan: tables }),
    groupedGateUp(shaders, { label: label('gate_up'), x, plan: tables, slots: table, pool: gateUp, hidden, topK, activation }),
    groupedDown(shaders, { label: label('down'), hidden, plan: tables, slots: table, pool: down, out: expertOut }),
    moeGather(shaders, { label: label('gather'), y: expertOut, weights, out, width: spec.hiddenSize, topK }),
  ];
}

function routerTaps({ scratch }: PlanContext, { topK, experts }: MoeSpec, index: number, { ids, weights }: Route): readonly Tap[] {
  return [
    { name: `moe.${index}.router_logits`, dtype: 'F32', buffer: scratch.routerLogits, offset: 0, width: experts },
    { name: `moe.${index}.ids`, dtype: 'I32', buffer: ids.buffer, offset: ids.offset ?? 0, width: topK },
    { name: `moe.${index}.weights`, dtype: 'F32', buffer: weights.buffer, offset: 0, width: topK },
  ];
}

import {
  expertDown,
  expertGateUp,
  gemm,
  gemv,
  groupedDown,
  groupedGateUp,
  moeGather,
  moePlan,
  rmsNorm,
  routerTopK,
  type Step,
} from '@gatefold/shaders';
import type { LayerSpec, MoeSpec } from '../model/spec.ts';
import { moeLayers, RESULT_BYTES, type SessionBuffers } from './session-buffers.ts';
import type { PlanContext } from './plan-context.ts';
import type { Tap } from './plan.ts';
import { ROUTE_BYTES } from './scratch.ts';

export interface FfnSteps {
  readonly steps: readonly Step[];
  readonly taps: readonly Tap[];
}

/** Norm, router and experts of one layer. A dense FFN runs as one expert that every token uses with weight 1. */
export async function ffnSteps(plan: PlanContext, session: SessionBuffers, layer: LayerSpec, mode: 'decode' | 'prefill'): Promise<FfnSteps> {
  const { shaders, scratch, spec } = plan;
  const { index, ffn, ffnNorm } = layer;
  const route = routeBuffers(plan, session, layer, mode);
  const norm = { weight: plan.weights.vector(`blk.${index}.ffn_norm.weight`), eps: ffnNorm.eps };
  const x = { buffer: scratch.x };
  const normed = { buffer: scratch.normed };
  const label = (stage: string) => `layer.${index}.${stage}`;
  const plainNorm = () => rmsNorm(shaders, { label: label('ffn_norm'), x, ...norm, out: normed, width: spec.hiddenSize });

  if (ffn.kind === 'dense') {
    const steps = await Promise.all([plainNorm(), ...expertSteps(plan, session, layer, mode, route)]);
    return { steps: steps.flat(), taps: [] };
  }
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
  const steps = await Promise.all([...score, choose, ...expertSteps(plan, session, layer, mode, route)]);
  return { steps: steps.flat(), taps: routerTaps(plan, ffn, index, route) };
}

interface Route {
  readonly ids: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
}

/** Each MoE layer's choice has a place of its own: in decode within the result that the host reads. */
function routeBuffers({ scratch, denseIds, denseWeights, spec }: PlanContext, session: SessionBuffers, layer: LayerSpec, mode: 'decode' | 'prefill'): Route {
  if (layer.ffn.kind === 'dense') return { ids: { buffer: denseIds }, weights: { buffer: denseWeights } };
  const weights = { buffer: scratch.expertWeights };
  const place = moeLayers(spec).findIndex(({ index }) => index === layer.index);
  const stride = scratch.expertIdsStride;
  if (mode === 'prefill') return { ids: { buffer: scratch.expertIds, offset: place * stride, size: stride }, weights };
  return { ids: { buffer: session.result, offset: RESULT_BYTES + place * ROUTE_BYTES, size: ROUTE_BYTES }, weights };
}

/** The experts themselves: residual stream += weighted sum of the chosen experts' outputs. */
function expertSteps(
  plan: PlanContext,
  session: SessionBuffers,
  { index, ffn }: LayerSpec,
  mode: 'decode' | 'prefill',
  { ids, weights }: Route,
): Promise<Step | readonly Step[]>[] {
  const { shaders, scratch, spec } = plan;
  const { gateUp, down, slots } = plan.weights.experts(index);
  const topK = ffn.kind === 'moe' ? ffn.topK : 1;
  const experts = ffn.kind === 'moe' ? ffn.experts : 1;
  const x = { buffer: scratch.normed };
  const hidden = { buffer: scratch.hidden };
  const out = { buffer: scratch.x };
  const table = { buffer: slots };
  const label = (stage: string) => `layer.${index}.${stage}`;
  if (mode === 'decode') {
    return [
      expertGateUp(shaders, { label: label('expert_gate_up'), x, ids, slots: table, pool: gateUp, hidden, topK, activation: ffn.activation }),
      expertDown(shaders, { label: label('expert_down'), hidden, ids, weights, slots: table, pool: down, out, topK }),
    ];
  }
  const maxTokens = plan.chunk;
  const tables = plan.moePlanBuffer({ experts, topK, maxTokens });
  const expertOut = { buffer: scratch.expertOut };
  return [
    moePlan(shaders, {
      label: label('moe_plan'),
      ids,
      experts,
      topK,
      maxTokens,
      width: ffn.width,
      hiddenSize: spec.hiddenSize,
      batch: { buffer: session.batch },
      plan: tables,
    }),
    groupedGateUp(shaders, { label: label('expert_gate_up'), x, plan: tables, slots: table, pool: gateUp, hidden, topK, activation: ffn.activation }),
    groupedDown(shaders, { label: label('expert_down'), hidden, plan: tables, slots: table, pool: down, out: expertOut }),
    moeGather(shaders, { label: label('moe_gather'), y: expertOut, weights, out, width: spec.hiddenSize, topK }),
  ];
}

function routerTaps({ scratch }: PlanContext, { topK, experts }: MoeSpec, index: number, { ids, weights }: Route): readonly Tap[] {
  return [
    { name: `moe.${index}.router_logits`, dtype: 'F32', buffer: scratch.routerLogits, offset: 0, width: experts },
    { name: `moe.${index}.ids`, dtype: 'I32', buffer: ids.buffer, offset: ids.offset ?? 0, width: topK },
    { name: `moe.${index}.weights`, dtype: 'F32', buffer: weights.buffer, offset: 0, width: topK },
  ];
}

import { expertDown, expertGateUp, groupedDown, groupedGateUp, moeGather, moePlan, type RouterChoice, type Step } from '@gatefold/shaders';
import type { Activation } from '../model/spec.ts';
import type { PlacedExperts } from '../residency/placement.ts';
import type { PlanContext } from './plan-context.ts';
import type { PassBuffers } from './session-buffers.ts';

export type Mode = 'decode' | 'prefill';

/** Steps in order, each a promise while its pipeline compiles. */
export type Steps = readonly Promise<Step | readonly Step[]>[];

/** A token's experts and their weights: [tokens, topK] u32 and f32. */
export interface Route {
  readonly ids: GPUBufferBinding;
  readonly weights: GPUBufferBinding;
}

/** Experts that a token chooses `topK` of: a layer's routed ones, or a dense MLP as the only one. */
export interface ExpertGroup {
  /** Prefix of its steps' labels. */
  readonly label: string;
  readonly placed: PlacedExperts;
  readonly experts: number;
  readonly topK: number;
  readonly activation: Activation;
  readonly route: Route;
  /** What a token's first half makes its route of, where no step before has. */
  readonly choice?: RouterChoice;
  /** [tokens, d] f32: the experts' input */
  readonly x: GPUBuffer;
  /** [tokens · topK, width] f32 of scratch */
  readonly hidden: GPUBufferBinding;
  /** [tokens, topK] factors on the experts' inputs */
  readonly inputWeights?: GPUBufferBinding;
  /** [tokens, d] f32: what the weighted sum of the outputs is added to, or overwrites */
  readonly out: GPUBuffer;
  readonly residual: boolean;
  /** Factor on the sum. */
  readonly scale: number;
}

/** What expert steps need of a plan, and of the session that the batch's size comes from. */
export type ExpertPlan = Pick<PlanContext, 'shaders' | 'spec' | 'chunk' | 'moePlanBuffer'> & { readonly scratch: Pick<PlanContext['scratch'], 'expertOut'> };

/** The experts themselves, in two halves: hidden rows, then the weighted sum of the chosen experts' outputs. */
export function expertSteps(plan: ExpertPlan, session: Pick<PassBuffers, 'batch'>, group: ExpertGroup, mode: Mode): readonly [first: Steps, second: Steps] {
  const { shaders, scratch, spec } = plan;
  const { placed, experts, topK, activation, route, hidden, residual, scale } = group;
  const choosing = group.choice ? { route: { ...group.choice, weights: route.weights } } : {};
  const onInput = group.inputWeights ? { inputWeights: group.inputWeights } : {};
  const { gateUp, down, slots } = placed;
  const { ids, weights } = route;
  const x = { buffer: group.x };
  const out = { buffer: group.out };
  const table = { buffer: slots };
  const label = (stage: string) => `${group.label}_${stage}`;
  if (mode === 'decode') {
    return [
      [expertGateUp(shaders, { label: label('gate_up'), x, ids, slots: table, pool: gateUp, hidden, topK, activation, ...onInput, ...choosing })],
      [expertDown(shaders, { label: label('down'), hidden, ids, weights, slots: table, pool: down, out, topK, scale, residual })],
    ];
  }
  const maxTokens = plan.chunk;
  const tables = plan.moePlanBuffer({ experts, topK, maxTokens });
  const expertOut = { buffer: scratch.expertOut };
  return [
    [
      moePlan(shaders, { label: label('plan'), ids, experts, topK, maxTokens, gateUp, down, batch: { buffer: session.batch }, plan: tables }),
      groupedGateUp(shaders, { label: label('gate_up'), x, plan: tables, slots: table, pool: gateUp, hidden, topK, activation, maxTokens, ...onInput }),
    ],
    [
      groupedDown(shaders, { label: label('down'), hidden, plan: tables, slots: table, pool: down, out: expertOut, topK, maxTokens }),
      moeGather(shaders, { label: label('gather'), y: expertOut, weights, out, width: spec.hiddenSize, topK, scale, residual }),
    ],
  ];
}

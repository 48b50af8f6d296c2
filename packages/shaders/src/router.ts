import type { KernelParts, ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import type { Step } from './step.ts';

/** Sizes of the router kernel's workgroup arrays. */
const MAX_EXPERTS = 512;
const MAX_TOP_K = 32;
/** Threads of a token: several share an expert's comparisons, but on a CPU adapter, where none is free, as many as experts. */
const FEWEST_THREADS = 32;
const MOST_THREADS = 256;

/** How logits become a choice and weights: the router's axes in DESIGN's model spec. */
export interface RouterAxes {
  readonly score: 'softmax' | 'sigmoid' | 'sqrt-softplus' | 'none';
  /** Softmax over the k chosen logits, after a choice by raw logits; `score` is then not applied. */
  readonly softmaxAfterTopK: boolean;
  /** Experts lie in `count` equal groups; only those of the `keep` best groups can be chosen (arXiv 2405.04434, 2412.19437). */
  readonly groups: { readonly count: number; readonly keep: number; readonly by: 'max' | 'top2-sum' } | null;
  /** Weights are divided by their sum + eps. */
  readonly renormalise: { readonly eps: number } | null;
  /** Factor on the weights, applied last. */
  readonly scale: number;
}

/** What a router chooses by. */
export interface RouterChoice {
  /** [tokens, experts] f32; with a shared expert's gate [tokens, experts + 1] */
  readonly logits: GPUBufferBinding;
  readonly experts: number;
  readonly topK: number;
  readonly router: RouterAxes;
  /** [experts] f32, added to the scores for the choice only (`exp_probs_b.bias`) */
  readonly selectionBias?: GPUBufferBinding;
  /** [experts] f32, factors on the chosen experts' weights */
  readonly expertScale?: GPUBufferBinding;
}

export interface RouterTopKArgs extends RouterChoice {
  readonly label: string;
  /** [tokens, topK] u32, written: best expert first, ties to the lowest expert */
  readonly ids: GPUBufferBinding;
  /** [tokens, topK] f32, written */
  readonly weights: GPUBufferBinding;
  /** [tokens] f32, written: the shared expert's weight, the sigmoid of the logit that follows the experts' */
  readonly sharedGate?: GPUBufferBinding;
}

/**
 * Scores, chooses and weighs the experts of each token: one workgroup a token. A NaN logit is chosen last; ids are
 * always in range. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function routerTopK(context: ShaderContext, args: RouterTopKArgs): Promise<Step> {
  const { label, ids, weights, experts, sharedGate } = args;
  const { conditions, constants, bindings } = choiceRequest(label, args, experts + (sharedGate ? 1 : 0));
  return context.step({
    label,
    module: 'router_top_k',
    conditions: { ...conditions, SHARED_GATE: sharedGate !== undefined },
    constants: { ...constants, THREADS: threadsFor(context, experts) },
    bindings: { ...bindings, 1: ids, 2: weights, ...(sharedGate ? { 5: sharedGate } : {}) },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}

/** What router_choice.wesl takes. Throws `KernelArgumentError` for shapes that it cannot serve. @param row logits a token */
export function choiceRequest(label: string, choice: RouterChoice, row = choice.experts): KernelParts {
  const { logits, experts, topK, router, selectionBias, expertScale } = choice;
  const { groups, renormalise } = router;
  checkRouter(label, choice);
  const score = router.softmaxAfterTopK ? 'none' : router.score;
  return {
    conditions: {
      SCORE_SOFTMAX: score === 'softmax',
      SCORE_SIGMOID: score === 'sigmoid',
      SCORE_SQRT_SOFTPLUS: score === 'sqrt-softplus',
      SOFTMAX_AFTER_TOP_K: router.softmaxAfterTopK,
      SELECTION_BIAS: selectionBias !== undefined,
      EXPERT_SCALE: expertScale !== undefined,
      RENORMALISE: renormalise !== null,
      GROUPS: groups !== null,
      GROUP_TOP2_SUM: groups?.by === 'top2-sum',
    },
    constants: {
      EXPERTS: experts,
      ROW: row,
      TOP_K: topK,
      ROUTE_SCALE: router.scale,
      ...(renormalise ? { RENORMALISE_EPS: renormalise.eps } : {}),
      ...(groups ? { GROUP_SIZE: experts / groups.count, GROUPS_KEPT: groups.keep } : {}),
    },
    bindings: { 13: logits, ...(selectionBias ? { 14: selectionBias } : {}), ...(expertScale ? { 15: expertScale } : {}) },
  };
}

function threadsFor({ narrow }: ShaderContext, experts: number): number {
  if (!narrow) return MOST_THREADS;
  let threads = FEWEST_THREADS;
  while (threads < Math.min(experts, MOST_THREADS)) threads *= 2;
  return threads;
}

function checkRouter(label: string, { experts, topK, router: { groups } }: RouterChoice): void {
  const refuse = (problem: string): never => {
    throw new KernelArgumentError(label, problem);
  };
  if (!Number.isInteger(experts) || experts < 1 || experts > MAX_EXPERTS) refuse(`${experts} experts; this kernel serves 1 to ${MAX_EXPERTS}`);
  if (!Number.isInteger(topK) || topK < 1 || topK > Math.min(experts, MAX_TOP_K)) {
    refuse(`top-${topK} of ${experts} experts; k must be 1 to ${Math.min(experts, MAX_TOP_K)}`);
  }
  if (!groups) return;
  const size = experts / groups.count;
  if (!Number.isInteger(size)) refuse(`${experts} experts do not divide into ${groups.count} groups`);
  if (groups.by === 'top2-sum' && size < 2) refuse('groups ranked by their two best experts need at least two experts each');
  if (!Number.isInteger(groups.keep) || groups.keep < 1 || groups.keep > groups.count) {
    refuse(`${groups.keep} of ${groups.count} groups kept; must be 1 to ${groups.count}`);
  }
  if (groups.keep * size < topK) refuse(`${groups.keep} groups of ${size} experts hold fewer than k = ${topK}`);
}

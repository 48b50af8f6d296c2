import type { Step } from '@gatefold/shaders';
import type { PlanContext } from '../../packages/runtime/src/engine/plan-context.ts';
import type { Stage, Tap } from '../../packages/runtime/src/engine/plan.ts';
import type { Session } from '../../packages/runtime/src/engine/session.ts';

/** One layer's MoE block as the engine planned it. */
export interface Block {
  readonly layer: number;
  /** Norm, router, top-k: what both schemes begin with. */
  readonly router: readonly Step[];
  /** The engine's experts, up to the sum that is added to the residual stream. */
  readonly experts: readonly Step[];
  /** Where the router leaves its choice, [tokens, k]. */
  readonly ids: Tap;
  readonly weights: Tap;
}

/** The MoE blocks of a session's plan: in each layer, what follows the attention's output projection. */
export function moeBlocks({ spec }: PlanContext, { plan }: Session, mode: 'decode' | 'prefill'): readonly Block[] {
  return spec.layers.flatMap(({ index, ffn }) => {
    if (ffn.kind !== 'moe') return [];
    const stage = plan[mode].find(({ taps }) => taps.some(({ name }) => name === `moe.${index}.ids`));
    if (!stage) throw new Error(`layer ${index} has no tap of its router's choice`);
    const attentionEnd = stage.steps.findLastIndex(({ label }) => label.includes('attention'));
    const steps = stage.steps.slice(attentionEnd + 1);
    const routerEnd = steps.findLastIndex(({ label }) => label.includes('router'));
    return [{ layer: index, router: steps.slice(0, routerEnd + 1), experts: steps.slice(routerEnd + 1), ids: tap(stage, `moe.${index}.ids`), weights: tap(stage, `moe.${index}.weights`) }];
  });
}

function tap({ taps }: Stage, name: string): Tap {
  const found = taps.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no tap ${name}`);
  return found;
}

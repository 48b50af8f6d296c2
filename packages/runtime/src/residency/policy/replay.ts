import { LayerSlots } from '../layer-slots.ts';
import type { EvictionPolicy } from './policy.ts';
import type { RouterTrace } from '../../model/router-trace.ts';

/** Makes the policy of one layer. @param steps what the layer will be asked for, for policies that know the future */
export type PolicyFactory = (steps: readonly (readonly number[])[]) => EvictionPolicy;

export interface Replayed {
  /** Share of the choices whose expert was in a slot, or on its way to one, when the router chose. */
  readonly hitRate: number;
  /** Experts brought a token. */
  readonly fetched: number;
}

/**
 * Runs a trace through the slots as the engine does, from empty ones.
 * @param share of each layer's experts that has slots; never fewer than one token uses
 * @param prefetch brings what was foretold of a choice before it is made
 */
export function replay({ experts, tokens, foretold }: RouterTrace, share: number, policyOf: PolicyFactory, prefetch = false): Replayed {
  let choices = 0;
  let hits = 0;
  let fetched = 0;
  for (const [layer, count] of experts.entries()) {
    const steps = tokens.map((token) => token[layer] ?? []);
    const most = Math.max(...steps.map(({ length }) => length));
    const slots = new LayerSlots(Math.min(count, Math.max(most, Math.floor(count * share))), policyOf(steps));
    const admit = (wanted: readonly number[]) => {
      const keep = new Set(wanted);
      for (const expert of wanted) {
        if (slots.isResident(expert)) continue;
        slots.put(expert, slots.take(keep).slot);
        fetched++;
      }
    };
    for (const [token, chosen] of steps.entries()) {
      if (prefetch) admit(foretold?.[token]?.[layer] ?? []);
      slots.policy.use(chosen);
      choices += chosen.length;
      hits += chosen.filter((expert) => slots.isResident(expert)).length;
      admit(chosen);
    }
  }
  return { hitRate: choices === 0 ? 0 : hits / choices, fetched: tokens.length === 0 ? 0 : fetched / tokens.length };
}

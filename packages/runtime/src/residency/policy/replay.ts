import { LayerSlots } from '../layer-slots.ts';
import type { EvictionPolicy } from './policy.ts';
import type { RouterTrace } from '../../model/router-trace.ts';

/** Makes the policy of one layer. @param steps what the layer will be asked for, for policies that know the future */
export type PolicyFactory = (steps: readonly (readonly number[])[]) => EvictionPolicy;

/**
 * Runs a trace through the slots as the engine does, from empty ones; returns the share of choices that were hits.
 * @param share of each layer's experts that has slots; never fewer than one token uses
 */
export function replay({ experts, tokens }: RouterTrace, share: number, policyOf: PolicyFactory): number {
  let choices = 0;
  let hits = 0;
  for (const [layer, count] of experts.entries()) {
    const steps = tokens.map((token) => token[layer] ?? []);
    const most = Math.max(...steps.map(({ length }) => length));
    const slots = new LayerSlots(Math.min(count, Math.max(most, Math.floor(count * share))), policyOf(steps));
    for (const chosen of steps) {
      slots.policy.use(chosen);
      const keep = new Set(chosen);
      for (const expert of chosen) {
        choices++;
        if (slots.isResident(expert)) hits++;
        else slots.put(expert, slots.take(keep).slot);
      }
    }
  }
  return choices === 0 ? 0 : hits / choices;
}

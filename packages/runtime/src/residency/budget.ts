import { GpuBudgetError } from './paging-errors.ts';

/** A bound for the weights' GPU memory: bytes, or the share of each layer's experts that may be there at a time. */
export type Budget = { readonly bytes: number } | { readonly share: number };

/** What one MoE layer asks of a budget. */
export interface ExpertDemand {
  readonly experts: number;
  /** Experts that one token needs at the same time. */
  readonly topK: number;
  /** GPU bytes of one expert. */
  readonly expertBytes: number;
}

/** Slots of each layer's expert pool, by what the rest of the model takes. */
export type SlotQuotas = (trunkBytes: number, layers: readonly ExpertDemand[]) => readonly number[];

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 };

/** What `parseBudget` takes, in words. */
export const BUDGET_FORMS = 'bytes, like 2000000000 or "2GB" or "512MiB", or a share of the experts, like "50%"';

/** Reads "2GB", "512 MiB", "50%" or a number of bytes; undefined for anything else. */
export function parseBudget(value: number | string): Budget | undefined {
  const [, digits = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*(%|[a-z]*)\s*$/i.exec(String(value)) ?? [];
  const amount = Number(digits);
  if (!(amount > 0)) return undefined;
  if (unit === '%') return amount <= 100 ? { share: amount / 100 } : undefined;
  const factor = UNITS[unit.toLowerCase()];
  return factor === undefined ? undefined : { bytes: Math.floor(amount * factor) };
}

/**
 * Slots of each layer's expert pool. Every layer gets at least its top-k; what is left of a budget in bytes is spread so
 * that all layers hold the same share of their experts.
 * @param trunkBytes what is resident besides experts
 * Throws `GpuBudgetError` where bytes do not suffice for the trunk and the top-k experts of each layer.
 */
export function slotQuotas(budget: Budget, trunkBytes: number, layers: readonly ExpertDemand[]): number[] {
  if ('share' in budget) return layers.map(({ experts, topK }) => Math.min(experts, Math.max(topK, Math.floor(experts * budget.share))));
  const quotas = layers.map(({ experts, topK }) => Math.min(experts, topK));
  const least = layers.reduce((sum, { expertBytes }, i) => sum + (quotas[i] ?? 0) * expertBytes, trunkBytes);
  if (budget.bytes < least) throw new GpuBudgetError(budget.bytes, least, trunkBytes);
  let room = budget.bytes - least;
  const poorest = () => {
    let best = -1;
    let lowest = 1;
    for (const [i, { experts, expertBytes }] of layers.entries()) {
      const share = (quotas[i] ?? 0) / experts;
      if (share < lowest && expertBytes <= room) [best, lowest] = [i, share];
    }
    return best;
  };
  for (let layer = poorest(); layer >= 0; layer = poorest()) {
    quotas[layer] = (quotas[layer] ?? 0) + 1;
    room -= layers[layer]?.expertBytes ?? 0;
  }
  return quotas;
}

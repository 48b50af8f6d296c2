import type { ExpertTraffic, MeshModel } from './room.ts';

/**
 * Choices that each expert is taken to have had before anything was counted. What a short history shows as rare is less
 * rare than it seems; with this, steps that were predicted of 150 tokens come as often as predicted (bench mesh).
 */
const PRIOR_USES = 3;

/** [MoE layer][expert]: the share of tokens that choose it. Each layer's add up to top-k, or to its experts where these are fewer. */
export function expertShares(model: MeshModel, traffic: ExpertTraffic): number[][] {
  return model.moeLayers.map(({ experts }, layer) => {
    const uses = Array.from({ length: experts }, (_, expert) => (traffic.uses[layer]?.[expert] ?? 0) + PRIOR_USES);
    return capped(uses, Math.min(model.topK, experts));
  });
}

/** Scales weights so that they add up to `total` while none is above one: a token chooses an expert at most once. */
function capped(weights: readonly number[], total: number): number[] {
  const full = new Set<number>();
  for (;;) {
    const open = weights.reduce((sum, weight, i) => (full.has(i) ? sum : sum + weight), 0);
    const scale = open > 0 ? (total - full.size) / open : 0;
    const over = weights.flatMap((weight, i) => (!full.has(i) && weight * scale > 1 ? [i] : []));
    if (over.length === 0) return weights.map((weight, i) => (full.has(i) ? 1 : weight * scale));
    for (const i of over) full.add(i);
  }
}

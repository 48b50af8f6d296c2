import type { RouterTrace } from '../../packages/runtime/src/model/router-trace.ts';

export interface ZipfShape {
  readonly layers: number;
  readonly experts: number;
  readonly topK: number;
  readonly tokens: number;
  /** Exponent of the popularity of experts. */
  readonly exponent: number;
  /** Chance that a choice repeats one of the token before: about 0.3-0.5 is reported of real MoE models. */
  readonly repeat: number;
  /** Tokens after which the order of popularity is drawn anew, as a text changes its subject. */
  readonly topicTokens: number;
  readonly seed: number;
}

/** A trace like a real router's: few experts do much of the work, neighbouring tokens share experts, subjects change. */
export function zipfTrace({ layers, experts, topK, tokens, exponent, repeat, topicTokens, seed }: ZipfShape): RouterTrace {
  const random = generator(seed);
  const weights = Array.from({ length: experts }, (_, rank) => (rank + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const drawRank = () => {
    let left = random() * total;
    const rank = weights.findIndex((weight) => (left -= weight) < 0);
    return rank < 0 ? experts - 1 : rank;
  };
  const orders: number[][] = [];
  const last: number[][] = Array.from({ length: layers }, () => []);
  const rows = Array.from({ length: tokens }, (_token, token) =>
    Array.from({ length: layers }, (_layer, layer) => {
      if (token % topicTokens === 0) orders[layer] = shuffled(experts, random);
      const chosen = new Set<number>();
      for (const expert of last[layer] ?? []) if (random() < repeat) chosen.add(expert);
      while (chosen.size < topK) chosen.add(orders[layer]?.[drawRank()] ?? 0);
      last[layer] = [...chosen];
      return [...chosen];
    }),
  );
  return { experts: Array.from({ length: layers }, () => experts), tokens: rows };
}

function shuffled(length: number, random: () => number): number[] {
  const order = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  return order;
}

/** Mulberry32: the same numbers everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

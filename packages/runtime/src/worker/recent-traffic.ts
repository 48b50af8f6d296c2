import type { ExpertTraffic, MeshModel } from '../mesh/planner/room.ts';

/** After so many tokens what was counted before counts half, so that the plan follows what a conversation is about. */
const HALF_LIFE = 256;
/** Pairs of experts of consecutive layers that are counted; a model with more does without. */
const MAX_PAIRS = 2 ** 20;

/** What this tab's routers have chosen of late. */
export class RecentTraffic implements ExpertTraffic {
  readonly uses: number[][];
  readonly affinity: number[][][];
  #tokens = 0;

  constructor({ moeLayers }: MeshModel) {
    this.uses = moeLayers.map(({ experts }) => zeros(experts));
    const pairs = moeLayers.slice(1).map(({ experts }, layer) => ({ from: moeLayers[layer]?.experts ?? 0, to: experts }));
    const count = pairs.reduce((sum, { from, to }) => sum + from * to, 0);
    this.affinity = count > MAX_PAIRS ? [] : pairs.map(({ from, to }) => Array.from({ length: from }, () => zeros(to)));
  }

  /** @param experts that one token has used, by MoE layer */
  add(experts: readonly (readonly number[])[]): void {
    if (++this.#tokens % HALF_LIFE === 0) for (const counts of [...this.uses, ...this.affinity.flat()]) for (const i of counts.keys()) counts[i] = (counts[i] ?? 0) / 2;
    for (const [layer, chosen] of experts.entries()) {
      for (const expert of chosen) {
        increment(this.uses[layer], expert);
        for (const next of experts[layer + 1] ?? []) increment(this.affinity[layer]?.[expert], next);
      }
    }
  }
}

const zeros = (length: number): number[] => Array.from({ length }, () => 0);

function increment(counts: number[] | undefined, index: number): void {
  const count = counts?.[index];
  if (counts && count !== undefined) counts[index] = count + 1;
}

import type { AttentionShape } from './attention-shape.ts';

/** Positions that a workgroup looks at in one go; splits are multiples of it. */
export const TILE = 32;
/** Workgroups that fill a large GPU; beyond them splits grow longer instead of more. */
const ENOUGH_WORKGROUPS = 1024;
const FEWEST_SPLITS = 16;
const MOST_SPLITS = 256;
/** A thread of the first stage sums one vector of a value head. */
export const MOST_VALUE_DIM = 512;
/** Query heads that a workgroup takes together, at most. */
export const MOST_BLOCK = 8;

/** Query heads that a workgroup takes together, of those that share a key and value head: a power of two. */
export function blockHeads({ heads, kvHeads }: AttentionShape): number {
  const shared = heads / kvHeads;
  return shared > 4 ? MOST_BLOCK : shared > 2 ? 4 : shared;
}

/** @param rows tokens that attend at once, each over a cache of its own */
export function mostSplits(shape: AttentionShape, rows = 1): number {
  const across = rows * shape.kvHeads * Math.ceil(shape.heads / shape.kvHeads / blockHeads(shape));
  return Math.min(MOST_SPLITS, Math.max(FEWEST_SPLITS, Math.ceil(ENOUGH_WORKGROUPS / across)));
}

/** Pieces that `seen` positions are cut into; the same rule as in attention_split.wesl. */
export function splitCount(seen: number, most: number): number {
  const length = Math.ceil(seen / (most * TILE)) * TILE;
  return Math.ceil(seen / length);
}

import type { Placement } from './placement.ts';
import { peerAt } from './travel.ts';
import type { Worth } from './worth.ts';

/**
 * Gives each expert that nobody holds a holder, the busiest first: the peer that costs the conversations least, counting
 * the work that it has in this layer already. Replicas make room where nobody has any; experts for which there is none
 * stay without a holder.
 */
export function placeMissing(placement: Placement, worth: Worth): void {
  const peers = placement.room.peers.map((_, peer) => peer);
  const distance = peers.map((peer) => worth.distance(peer));
  const awake = new Familiarity(placement, worth);
  const work = workByLayer(placement, worth);
  const weights = worth.tabs.reduce((sum, { weight }) => sum + weight, 0);
  const missing = [...placement.experts()].filter(({ layer, expert }) => placement.of(layer, expert).size === 0);
  for (const { layer, expert } of missing.toSorted((a, b) => worth.share(b.layer, b.expert) - worth.share(a.layer, a.expert))) {
    const share = worth.share(layer, expert) * weights;
    const cost = (peer: number) => {
      const { expertMs, frameMs } = peerAt(placement.room, peer);
      return (distance[peer] ?? 0) + weights * ((work[layer]?.[peer] ?? 0) * expertMs - awake.of(layer, expert, peer) * frameMs);
    };
    let best: number | undefined;
    let least = Infinity;
    for (const peer of peers) {
      if (placement.free(layer, peer) < 1) continue;
      const ms = cost(peer);
      if (ms < least) [best, least] = [peer, ms];
    }
    best ??= makeRoom(placement, worth, layer);
    if (best === undefined) continue;
    placement.add(layer, expert, best);
    awake.add(layer, expert, best);
    const row = work[layer];
    if (row) row[best] = (row[best] ?? 0) + share;
  }
}

/**
 * Fills a peer's slots with what is worth most there. What it holds counts `stickiness` times, so that little moves;
 * what nobody else holds stays.
 */
export function fillPeer(placement: Placement, worth: Worth, peer: number, stickiness: number): void {
  for (const [layer, { experts }] of placement.model.moeLayers.entries()) {
    const slots = placement.free(layer, peer) + placement.heldBy(layer, peer).length;
    const valued = Array.from({ length: experts }, (_, expert) => {
      const held = placement.of(layer, expert).has(peer);
      const value = held && stickiness === Infinity ? Infinity : worth.of(placement, layer, expert, peer) * (held ? stickiness : 1);
      return { expert, held, value };
    });
    const ranked = valued.toSorted((a, b) => b.value - a.value || Number(b.held) - Number(a.held));
    const chosen = ranked.slice(0, slots).filter(({ value }) => value > 0);
    for (const each of valued) if (each.held && !chosen.includes(each)) placement.drop(layer, each.expert, peer);
    for (const { expert } of chosen) placement.add(layer, expert, peer);
  }
}

/** Takes from a peer with too few slots what is worth least there: replicas first, then the least used. */
export function shrinkPeer(placement: Placement, worth: Worth, peer: number): void {
  for (const layer of placement.model.moeLayers.keys()) {
    const valued = placement.heldBy(layer, peer).map((expert) => ({ expert, value: worth.of(placement, layer, expert, peer), share: worth.share(layer, expert) }));
    const least = valued.toSorted((a, b) => (a.value === b.value ? 0 : a.value - b.value) || a.share - b.share);
    for (const { expert } of least.slice(0, Math.max(0, -placement.free(layer, peer)))) placement.drop(layer, expert, peer);
  }
}

/** Drops the replica of this layer that is worth least; undefined where there is none. */
function makeRoom(placement: Placement, worth: Worth, layer: number): number | undefined {
  let least: { readonly expert: number; readonly peer: number; readonly value: number } | undefined;
  for (let expert = 0; expert < (placement.model.moeLayers[layer]?.experts ?? 0); expert++) {
    const holders = placement.of(layer, expert);
    if (holders.size < 2) continue;
    for (const peer of holders) {
      const value = worth.of(placement, layer, expert, peer);
      if (value < (least?.value ?? Infinity)) least = { expert, peer, value };
    }
  }
  if (least) placement.drop(layer, least.expert, least.peer);
  return least?.peer;
}

/** [MoE layer][peer]: expert-tokens that each peer computes for a token of every conversation. */
function workByLayer(placement: Placement, worth: Worth): number[][] {
  const work = placement.model.moeLayers.map(() => placement.room.peers.map(() => 0));
  const weights = worth.tabs.reduce((sum, { weight }) => sum + weight, 0);
  for (const { layer, expert } of placement.experts()) {
    const holders = placement.of(layer, expert);
    const row = work[layer];
    for (const peer of holders) if (row) row[peer] = (row[peer] ?? 0) + (worth.share(layer, expert) * weights) / holders.size;
  }
  return work;
}

/**
 * How much of an expert's traffic comes from, or goes on to, experts of the neighbouring MoE layers at the same peer. A
 * connection that was used a step ago is awake; where two peers cost about the same, that decides.
 */
class Familiarity {
  /** [peer] → [MoE layer][expert] */
  readonly #sums = new Map<number, number[][]>();

  constructor(
    readonly placement: Placement,
    readonly worth: Worth,
  ) {
    for (const { layer, expert } of placement.experts()) for (const peer of placement.of(layer, expert)) this.add(layer, expert, peer);
  }

  of(layer: number, expert: number, peer: number): number {
    return this.#sums.get(peer)?.[layer]?.[expert] ?? 0;
  }

  add(layer: number, expert: number, peer: number): void {
    const sums = this.#sums.get(peer) ?? this.placement.model.moeLayers.map(({ experts }) => Array.from({ length: experts }, () => 0));
    this.#sums.set(peer, sums);
    const after = sums[layer + 1];
    const before = sums[layer - 1];
    after?.forEach((sum, next) => (after[next] = sum + this.worth.affinity(layer, expert, next)));
    before?.forEach((sum, previous) => (before[previous] = sum + this.worth.affinity(layer - 1, previous, expert)));
  }
}

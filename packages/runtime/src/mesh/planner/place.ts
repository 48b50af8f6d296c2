import type { Placement } from './placement.ts';
import { peerAt } from './travel.ts';
import type { Worth } from './worth.ts';

interface Copy {
  readonly layer: number;
  readonly expert: number;
  readonly bytes: number;
}

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
    const bytes = placement.bytes(layer);
    const share = worth.share(layer, expert) * weights;
    const cost = (peer: number) => {
      const { expertMs, frameMs } = peerAt(placement.room, peer);
      return (distance[peer] ?? 0) + weights * ((work[layer]?.[peer] ?? 0) * expertMs - awake.of(layer, expert, peer) * frameMs);
    };
    let best: number | undefined;
    let least = Infinity;
    for (const peer of peers) {
      if (placement.free(peer) < bytes) continue;
      const ms = cost(peer);
      if (ms < least) [best, least] = [peer, ms];
    }
    best ??= makeRoom(placement, worth, bytes);
    if (best === undefined) continue;
    placement.add(layer, expert, best);
    awake.add(layer, expert, best);
    const row = work[layer];
    if (row) row[best] = (row[best] ?? 0) + share;
  }
}

/**
 * Fills a peer's memory with what is worth most there. What it holds counts `stickiness` times, so that little moves;
 * what nobody else holds stays.
 */
export function fillPeer(placement: Placement, worth: Worth, peer: number, stickiness: number): void {
  const copies = [...placement.experts()].map(({ layer, expert }) => {
    const held = placement.of(layer, expert).has(peer);
    const bytes = placement.bytes(layer);
    const value = held && stickiness === Infinity ? Infinity : worth.of(placement, layer, expert, peer) * (held ? stickiness : 1);
    return { layer, expert, bytes, held, density: value / bytes };
  });
  let room = peerAt(placement.room, peer).memoryBytes;
  const chosen = new Set<Copy>();
  for (const copy of copies.toSorted((a, b) => b.density - a.density || Number(b.held) - Number(a.held))) {
    if (!(copy.density > 0) || copy.bytes > room) continue;
    chosen.add(copy);
    room -= copy.bytes;
  }
  for (const copy of copies) if (copy.held && !chosen.has(copy)) placement.drop(copy.layer, copy.expert, peer);
  for (const { layer, expert } of chosen) placement.add(layer, expert, peer);
}

/** Takes from a peer with too little memory what is worth least there: replicas first, then the least used. */
export function shrinkPeer(placement: Placement, worth: Worth, peer: number): void {
  const held = [...placement.experts()].filter(({ layer, expert }) => placement.of(layer, expert).has(peer));
  const valued = held.map(({ layer, expert }) => ({ layer, expert, value: worth.of(placement, layer, expert, peer), share: worth.share(layer, expert) }));
  for (const { layer, expert } of valued.toSorted((a, b) => (a.value === b.value ? 0 : a.value - b.value) || a.share - b.share)) {
    if (placement.free(peer) >= 0) return;
    placement.drop(layer, expert, peer);
  }
}

/** Drops replicas at the peer where `bytes` cost least; undefined where no peer has that much in replicas. */
function makeRoom(placement: Placement, worth: Worth, bytes: number): number | undefined {
  let best: { readonly peer: number; readonly copies: readonly Copy[]; readonly cost: number } | undefined;
  for (const [peer] of placement.room.peers.entries()) {
    const replicas = [...placement.experts()]
      .filter(({ layer, expert }) => placement.of(layer, expert).has(peer) && placement.of(layer, expert).size > 1)
      .map(({ layer, expert }) => ({ layer, expert, bytes: placement.bytes(layer), value: worth.of(placement, layer, expert, peer) }))
      .sort((a, b) => a.value / a.bytes - b.value / b.bytes);
    let free = placement.free(peer);
    let cost = 0;
    const copies: Copy[] = [];
    for (const copy of replicas) {
      if (free >= bytes) break;
      copies.push(copy);
      free += copy.bytes;
      cost += copy.value;
    }
    if (free >= bytes && cost < (best?.cost ?? Infinity)) best = { peer, copies, cost };
  }
  for (const { layer, expert } of best?.copies ?? []) placement.drop(layer, expert, best?.peer ?? 0);
  return best?.peer;
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

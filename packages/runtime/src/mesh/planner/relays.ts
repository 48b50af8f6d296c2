import { predictExperts, type Holders, type Reach } from './predict.ts';
import type { MeshModel, MeshRoom } from './room.ts';
import { roundTripMs } from './travel.ts';

/** A relay's way may be this much longer than the direct one: it is taken for the frames and bytes that it saves. */
const LONGEST_DETOUR = 1.5;
/** Relays are taken where the predicted time falls below this share of the direct exchange's. */
const WORTH_WHILE = 0.95;

/**
 * Which peers a tab reaches through others, so that its step takes the least time: none where that does not pay.
 * One frame then goes to a group of peers and one comes back, with each token's row once (hierarchical all-to-all).
 */
export function chooseRelays(model: MeshModel, room: MeshRoom, shares: readonly (readonly number[])[], holders: Holders, flat: Reach): Reach {
  let best = { reach: flat, ms: predictExperts(model, room, shares, holders, flat).tokenMs * WORTH_WHILE };
  for (const relays of [nearTogether(room, flat, 2), nearTogether(room, flat, 4), evenGroups(flat)]) {
    if (relays.size === 0) continue;
    const reach = { ...flat, relays };
    const ms = predictExperts(model, room, shares, holders, reach).tokenMs;
    if (ms < best.ms) best = { reach, ms };
  }
  return best.reach;
}

/** Peers from the nearest to the farthest, without the tab. */
function others({ tab, near }: Reach): number[] {
  return near.map((_, peer) => peer).filter((peer) => peer !== tab).sort((a, b) => (near[a] ?? 0) - (near[b] ?? 0));
}

/** A peer goes through a nearer one that is `times` closer to it than the tab is, the one that makes the shortest way. */
function nearTogether(room: MeshRoom, reach: Reach, times: number): Map<number, number> {
  const heads: number[] = [];
  const relays = new Map<number, number>();
  for (const peer of others(reach)) {
    const direct = roundTripMs(room, reach.tab, peer);
    let best: { readonly head: number; readonly ms: number } | undefined;
    for (const head of heads) {
      const onward = roundTripMs(room, head, peer);
      const ms = roundTripMs(room, reach.tab, head) + onward;
      if (onward * times <= direct && ms <= direct * LONGEST_DETOUR && ms < (best?.ms ?? Infinity)) best = { head, ms };
    }
    if (best) relays.set(peer, best.head);
    else heads.push(peer);
  }
  return relays;
}

/** About as many groups as each has members, however far they are: fewest frames for the tab among many peers alike. */
function evenGroups(reach: Reach): Map<number, number> {
  const peers = others(reach);
  const heads = Math.ceil(Math.sqrt(peers.length));
  return new Map(peers.slice(heads).map((peer, i) => [peer, peers[i % heads] ?? peer]));
}

import { chainsOf } from '../route.ts';
import type { TokenCost } from './predict.ts';
import type { MeshModel, MeshRoom } from './room.ts';
import { busyMs, hopMs, peerAt } from './travel.ts';

/** Longer ways are left as they are: all turns of such a one would take long to try. */
const LONGEST_WAY = 16;

/** Layers `[first, end)` at a peer, by its number. */
export interface Stage {
  readonly peer: number;
  readonly first: number;
  readonly end: number;
}

/**
 * Cuts the model's layers into one range a peer: the tab has the first ones, as many as it has memory for, then those
 * peers that cost it least, in the order that makes the shortest way. Undefined where the room's memory does not hold all layers.
 */
export function splitLayers(model: MeshModel, room: MeshRoom, tab: number): Stage[] | undefined {
  const others = room.peers.map((_, peer) => peer).filter((peer) => peer !== tab);
  const near = (peer: number) => hopMs(model, room, tab, peer) + hopMs(model, room, peer, tab);
  const orders = [
    others.toSorted((a, b) => peerAt(room, b).memoryBytes - peerAt(room, a).memoryBytes),
    others.toSorted((a, b) => near(a) - near(b)),
    others.toSorted((a, b) => peerAt(room, a).expertMs - peerAt(room, b).expertMs),
    nearestNext(model, room, tab, others),
  ];
  let best: { readonly stages: Stage[]; readonly ms: number } | undefined;
  for (const order of orders) {
    const first = fewest(model, room, tab, order);
    const stages = first && shortened(model, room, tab, first);
    if (!stages) continue;
    const ms = predictLayers(model, room, stages, tab).tokenMs;
    if (ms < (best?.ms ?? Infinity)) best = { stages, ms };
  }
  return best?.stages;
}

/**
 * What a token costs a tab whose layers lie so: a hop to each of the others, one home, and all layers' work. Conversations
 * run one behind the other, so that many of them come as fast as the busiest peer or line.
 */
export function predictLayers(model: MeshModel, room: MeshRoom, stages: readonly Stage[], tab: number): TokenCost {
  const batch = Math.max(1, peerAt(room, tab).conversations);
  const moe = new Set(model.moeLayers.map(({ layer }) => layer));
  const away = stages.filter(({ peer }) => peer !== tab);
  const work = stages.map(({ peer, first, end }) => {
    const { trunkLayerMs, expertMs } = peerAt(room, peer);
    return Array.from({ length: end - first }, (_, i) => trunkLayerMs + (moe.has(first + i) ? model.topK * expertMs : 0)).reduce((sum, ms) => sum + ms, 0);
  });
  const ways = chainsOf(away).map((chain) => [tab, ...chain.map(({ peer }) => peer), tab]);
  const hops = ways.flatMap((way) => way.slice(1).map((to, i) => ({ from: way[i] ?? tab, to })));
  const travel = hops.reduce((sum, { from, to }) => sum + hopMs(model, room, from, to), 0);
  const lines = [tab, ...away.map(({ peer }) => peer)].map((peer) => busyMs(model, room, peer, hops.filter(({ from }) => from === peer).length, hops.filter(({ from }) => from === peer).length));
  return {
    tokenMs: Math.max(travel + work.reduce((sum, ms) => sum + ms, 0), batch * Math.max(0, ...work, ...lines)),
    stepMs: hops.length > 0 ? travel / hops.length : 0,
    messagesPerToken: hops.length,
    bytesPerToken: hops.length * model.rowBytes,
    remoteShare: away.reduce((sum, { first, end }) => sum + end - first, 0) / Math.max(1, model.layerCount),
  };
}

/** Each time the nearest of those that are left. */
function nearestNext(model: MeshModel, room: MeshRoom, tab: number, others: readonly number[]): number[] {
  const left = new Set(others);
  const order: number[] = [];
  for (let at = tab; left.size > 0; ) {
    at = [...left].reduce((best, peer) => (hopMs(model, room, at, peer) < hopMs(model, room, at, best) ? peer : best));
    left.delete(at);
    order.push(at);
  }
  return order;
}

/** The same peers in another order, where that is a shorter way and their memory allows it: pieces of the way are turned round as long as that helps. */
function shortened(model: MeshModel, room: MeshRoom, tab: number, stages: Stage[]): Stage[] {
  const timeOf = (some: readonly Stage[]) => predictLayers(model, room, some, tab).tokenMs;
  let best = stages;
  for (let found: Stage[] | undefined = stages; found; ) {
    found = undefined;
    const way = best.map(({ peer }) => peer).filter((peer) => peer !== tab);
    for (let i = 0; i < way.length - 1 && way.length <= LONGEST_WAY; i++) {
      for (let j = i + 2; j <= way.length; j++) {
        const turned = fill(model, room, [tab, ...way.slice(0, i), ...way.slice(i, j).toReversed(), ...way.slice(j)]);
        if (turned && timeOf(turned) < timeOf(found ?? best)) found = turned;
      }
    }
    best = found ?? best;
  }
  return best;
}

/** The first peers of an order that have memory enough. */
function fewest(model: MeshModel, room: MeshRoom, tab: number, order: readonly number[]): Stage[] | undefined {
  for (let count = 0; count <= order.length; count++) {
    const stages = fill(model, room, [tab, ...order.slice(0, count)]);
    if (stages) return stages;
  }
  return undefined;
}

/** Gives each peer in turn as many layers as it has memory for; undefined where some are left over. */
function fill(model: MeshModel, room: MeshRoom, way: readonly number[]): Stage[] | undefined {
  const bytes = Array.from({ length: model.layerCount }, () => 0);
  for (const { layer, experts, expertBytes } of model.moeLayers) bytes[layer] = experts * expertBytes;
  const stages: Stage[] = [];
  let next = 0;
  for (const peer of way) {
    let left = peerAt(room, peer).memoryBytes;
    const first = next;
    while (next < model.layerCount && (bytes[next] ?? 0) <= left) left -= bytes[next++] ?? 0;
    if (next > first) stages.push({ peer, first, end: next });
  }
  return next === model.layerCount ? stages : undefined;
}

import type { TokenCost } from './predict.ts';
import type { MeshModel, MeshRoom } from './room.ts';
import { busyMs, legMs, peerAt } from './travel.ts';

/** Layers `[first, end)` at a peer, by its number. */
export interface Stage {
  readonly peer: number;
  readonly first: number;
  readonly end: number;
}

/**
 * Cuts the model's layers into one range a peer: the tab has the first ones, as many as it has memory for, then those
 * peers that cost it least. Undefined where the room's memory does not hold all layers.
 */
export function splitLayers(model: MeshModel, room: MeshRoom, tab: number): Stage[] | undefined {
  const others = room.peers.map((_, peer) => peer).filter((peer) => peer !== tab);
  const orders = [
    others.toSorted((a, b) => peerAt(room, b).memoryBytes - peerAt(room, a).memoryBytes),
    others.toSorted((a, b) => tripMs(model, room, tab, a) - tripMs(model, room, tab, b)),
    others.toSorted((a, b) => peerAt(room, a).expertMs - peerAt(room, b).expertMs),
  ];
  let best: { readonly stages: Stage[]; readonly ms: number } | undefined;
  for (const order of orders) {
    const stages = fewest(model, room, tab, order);
    if (!stages) continue;
    const ms = predictLayers(model, room, stages, tab).tokenMs;
    if (ms < (best?.ms ?? Infinity)) best = { stages, ms };
  }
  return best?.stages;
}

/**
 * What a token costs a tab whose layers lie so: a round trip to each of the others, and all layers' work. Conversations
 * run one behind the other, so that many of them come as fast as the slowest stage.
 */
export function predictLayers(model: MeshModel, room: MeshRoom, stages: readonly Stage[], tab: number): TokenCost {
  const batch = Math.max(1, peerAt(room, tab).conversations);
  const moe = new Set(model.moeLayers.map(({ layer }) => layer));
  const away = stages.filter(({ peer }) => peer !== tab);
  const work = stages.map(({ peer, first, end }) => {
    const { trunkLayerMs, expertMs } = peerAt(room, peer);
    return Array.from({ length: end - first }, (_, i) => trunkLayerMs + (moe.has(first + i) ? model.topK * expertMs : 0)).reduce((sum, ms) => sum + ms, 0);
  });
  const travel = away.reduce((sum, { peer }) => sum + tripMs(model, room, tab, peer), 0);
  return {
    tokenMs: Math.max(travel + work.reduce((sum, ms) => sum + ms, 0), batch * Math.max(0, ...work)),
    stepMs: away.length > 0 ? travel / away.length : 0,
    messagesPerToken: 2 * away.length,
    bytesPerToken: 2 * away.length * model.rowBytes,
    remoteShare: away.reduce((sum, { first, end }) => sum + end - first, 0) / Math.max(1, model.layerCount),
  };
}

/** Milliseconds of one row's way to a peer and back. */
function tripMs(model: MeshModel, room: MeshRoom, tab: number, peer: number): number {
  return legMs(model, room, tab, peer, 1, 0) + busyMs(model, room, tab, 1, 1);
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

import type { TokenCost } from './predict.ts';
import type { MeshModel, MeshRoom } from './room.ts';
import { peerAt } from './travel.ts';

/** Layers `[first, end)` at a peer, by its number. */
export interface Stage {
  readonly peer: number;
  readonly first: number;
  readonly end: number;
}

/**
 * Cuts the model's layers into one range a peer: the tab has the first ones, as many as it has memory for, then peers that
 * make the shortest way. Undefined where the room's memory does not hold all layers.
 */
export function splitLayers(model: MeshModel, room: MeshRoom, tab: number): Stage[] | undefined {
  const others = room.peers.map((_, peer) => peer).filter((peer) => peer !== tab);
  const orders = [
    others.toSorted((a, b) => peerAt(room, b).memoryBytes - peerAt(room, a).memoryBytes),
    others.toSorted((a, b) => hopMs(model, room, tab, a) - hopMs(model, room, tab, b)),
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

/** What a token costs a tab whose layers lie so: work one stage after the other, and one hop from each to the next and home. */
export function predictLayers(model: MeshModel, room: MeshRoom, stages: readonly Stage[], tab: number): TokenCost {
  const batch = Math.max(1, peerAt(room, tab).conversations);
  const moe = new Set(model.moeLayers.map(({ layer }) => layer));
  let compute = 0;
  let hops = 0;
  let hopsMs = 0;
  let away = 0;
  let at = tab;
  const go = (to: number) => {
    if (to === at) return;
    hops++;
    hopsMs += hopMs(model, room, at, to, batch);
    at = to;
  };
  for (const { peer, first, end } of stages) {
    go(peer);
    const { trunkLayerMs, expertMs } = peerAt(room, peer);
    for (let layer = first; layer < end; layer++) compute += trunkLayerMs + (moe.has(layer) ? batch * model.topK * expertMs : 0);
    if (peer !== tab) away += end - first;
  }
  go(tab);
  return {
    tokenMs: compute + hopsMs,
    stepMs: hops > 0 ? hopsMs / hops : 0,
    messagesPerToken: hops / batch,
    bytesPerToken: hops * model.rowBytes,
    remoteShare: away / Math.max(1, model.layerCount),
  };
}

/** Milliseconds from one peer's sending `rows` rows to the other's having them. */
function hopMs(model: MeshModel, room: MeshRoom, from: number, to: number, rows = 1): number {
  const [a, b] = [peerAt(room, from), peerAt(room, to)];
  return (room.latencyMs[from]?.[to] ?? 0) + a.frameMs + b.frameMs + rows * model.rowBytes * (1 / a.upBytesPerMs + 1 / b.downBytesPerMs);
}

/** The first peers of an order that have memory enough, visited on a short way. */
function fewest(model: MeshModel, room: MeshRoom, tab: number, order: readonly number[]): Stage[] | undefined {
  for (let count = 0; count <= order.length; count++) {
    const stages = fill(model, room, [tab, ...shortWay(model, room, tab, order.slice(0, count))]);
    if (stages) return stages;
  }
  return undefined;
}

/** Always on to the nearest of those that are left. */
function shortWay(model: MeshModel, room: MeshRoom, tab: number, peers: readonly number[]): number[] {
  const left = new Set(peers);
  const way: number[] = [];
  let at = tab;
  while (left.size > 0) {
    const [next = at] = [...left].sort((a, b) => hopMs(model, room, at, a) - hopMs(model, room, at, b));
    way.push(next);
    left.delete(next);
    at = next;
  }
  return way;
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

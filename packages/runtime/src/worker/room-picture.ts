import { moeLayers } from '../engine/session-buffers.ts';
import type { RoomPeer } from '../mesh/membership.ts';
import type { MeshModel, MeshPeer, MeshRoom } from '../mesh/planner/room.ts';
import { rowBytes, type WireFormat } from '../mesh/wire-format.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { ShardPlan } from '../shards/shard.ts';

/** What is not measured: a middling device on a home network. */
const TYPICAL = { expertMs: 0.05, trunkLayerMs: 0.1, frameMs: 0.2, upBytesPerMs: 5000, downBytesPerMs: 5000 };
/** A round trip before the first heart-beat has come back. */
const TYPICAL_ROUND_TRIP_MS = 5;

/** The model as the planner sees it. */
export function meshModel(spec: ModelSpec, { shards }: ShardPlan, wire: WireFormat): MeshModel {
  const layers = moeLayers(spec);
  return {
    layerCount: spec.layers.length,
    moeLayers: layers.map(({ index, ffn }) => ({
      layer: index,
      experts: ffn.experts,
      expertBytes: shards.find(({ kind, layer }) => kind === 'expert' && layer === index)?.byteLength ?? 0,
    })),
    topK: Math.max(0, ...layers.map(({ ffn }) => ffn.topK)),
    rowBytes: rowBytes(wire, spec.hiddenSize),
  };
}

/** A tab's view of its room: itself first. What lies between two others is not known, and taken for as far as the further of both. */
export function meshRoom(self: string, memoryBytes: number, others: readonly RoomPeer[]): MeshRoom {
  const peers: MeshPeer[] = [
    { ...TYPICAL, id: self, memoryBytes, conversations: 1 },
    ...others.map(({ name, hello }) => ({ ...TYPICAL, id: name, memoryBytes: hello.memoryBytes, conversations: 0 })),
  ];
  const oneWay = [0, ...others.map((peer) => roundTripMs(peer) / 2)];
  return { peers, latencyMs: oneWay.map((from, i) => oneWay.map((to, j) => (i === j ? 0 : Math.max(from, to)))) };
}

function roundTripMs(peer: RoomPeer): number {
  const sorted = [...peer.stats().roundTripsMs].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? TYPICAL_ROUND_TRIP_MS;
}

import { moeLayers } from '../engine/session-buffers.ts';
import type { MemberStatus } from '../mesh/news-frames.ts';
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

/** What a tab knows of a member of its room. */
export interface Member {
  readonly name: string;
  readonly memoryBytes: number;
  readonly status: MemberStatus;
}

/** A tab's view of its room: itself first. What two others have not measured is taken for as far as the further of both is from here. */
export function meshRoom(members: readonly Member[]): MeshRoom {
  const [self] = members;
  const peers = members.map(({ name, memoryBytes, status }): MeshPeer => ({ ...TYPICAL, id: name, memoryBytes, conversations: status.conversations }));
  const own = ({ name }: Member) => (name === self?.name ? 0 : (self?.status.roundTripsMs.get(name) ?? TYPICAL_ROUND_TRIP_MS));
  const between = (a: Member, b: Member): number => {
    if (a === b) return 0;
    // Nobody gets nearer by what it claims.
    if (a !== self && b !== self) return Math.max(a.status.roundTripsMs.get(b.name) ?? 0, b.status.roundTripsMs.get(a.name) ?? 0) || Math.max(own(a), own(b));
    return Math.max(own(a), own(b));
  };
  return { peers, latencyMs: members.map((a) => members.map((b) => between(a, b) / 2)) };
}

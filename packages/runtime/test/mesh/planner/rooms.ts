import fc from 'fast-check';
import type { ExpertTraffic, MeshModel, MeshPeer, MeshRoom } from '../../../src/mesh/planner/room.ts';

/** A model of equal layers. */
export function model(layers: number, experts: number, topK: number, expertBytes = 1000, rowBytes = 4096): MeshModel {
  return { layerCount: layers, moeLayers: Array.from({ length: layers }, (_, layer) => ({ layer, experts, expertBytes })), topK, rowBytes };
}

/** A peer like many others, but for what is given. */
export function peer(id: string, given: Partial<MeshPeer> = {}): MeshPeer {
  return { id, memoryBytes: 100_000, expertMs: 0.05, trunkLayerMs: 0.2, frameMs: 0.05, upBytesPerMs: 10_000, downBytesPerMs: 10_000, conversations: 0, ...given };
}

/** All peers equally far from each other. */
export function room(peers: readonly MeshPeer[], oneWayMs: number): MeshRoom {
  return { peers, latencyMs: peers.map((_, from) => peers.map((_peer, to) => (from === to ? 0 : oneWayMs))) };
}

/** Uses that fall from the first expert to the last. */
export function falling({ moeLayers }: MeshModel, exponent = 1): ExpertTraffic {
  return { uses: moeLayers.map(({ experts }) => Array.from({ length: experts }, (_, expert) => 1e6 / (expert + 1) ** exponent)) };
}

export interface Scene {
  readonly model: MeshModel;
  readonly room: MeshRoom;
  readonly traffic: ExpertTraffic;
}

const shape = fc.record({ layers: fc.integer({ min: 1, max: 4 }), experts: fc.integer({ min: 1, max: 12 }), k: fc.integer({ min: 1, max: 4 }), bytes: fc.integer({ min: 1, max: 5000 }) });

const peers = (least: number) =>
  fc.array(
    fc.record({
      memoryBytes: fc.integer({ min: 0, max: 60_000 }),
      expertMs: fc.double({ min: 0.01, max: 5, noNaN: true }),
      frameMs: fc.double({ min: 0.01, max: 0.5, noNaN: true }),
      upBytesPerMs: fc.double({ min: 100, max: 100_000, noNaN: true }),
      conversations: fc.integer({ min: 0, max: 8 }),
    }),
    { minLength: least, maxLength: 7 },
  );

/** Models, rooms and traffic of any kind, with one shape for all layers, or another one for every second (PR-MoE). */
export function scenes(least = 1): fc.Arbitrary<Scene> {
  return fc.record({ a: shape, b: shape, given: peers(least), seed: fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 5, maxLength: 40 }) }).map(({ a, b, given, seed }) => {
    const pick = (i: number) => seed[i % seed.length] ?? 0;
    const moeLayers = Array.from({ length: a.layers }, (_, layer) => ({ layer, experts: (layer % 2 ? b : a).experts, expertBytes: (layer % 2 ? b : a).bytes }));
    const all = given.map((each, i) => peer(`p${i}`, each));
    return {
      model: { layerCount: a.layers, moeLayers, topK: a.k, rowBytes: 4096 },
      room: { peers: all, latencyMs: all.map((_, from) => all.map((_peer, to) => (from === to ? 0 : pick(from * 7 + to) / 10))) },
      traffic: { uses: moeLayers.map(({ experts }, layer) => Array.from({ length: experts }, (_, expert) => pick(layer * 13 + expert))) },
    };
  });
}

import { expect, test } from 'vitest';
import type { MeshModel } from '../../src/mesh/planner/room.ts';
import { RecentTraffic } from '../../src/worker/recent-traffic.ts';

const model = (experts: number): MeshModel => ({ layerCount: 2, moeLayers: [0, 1].map((layer) => ({ layer, experts, expertBytes: 1 })), topK: 2, rowBytes: 4 });

test('counts experts and those that follow each other, and forgets', () => {
  const traffic = new RecentTraffic(model(3));
  traffic.add([[0, 2], [1, 2]]);
  expect(traffic.uses).toEqual([[1, 0, 1], [0, 1, 1]]);
  expect(traffic.affinity).toEqual([[[0, 1, 1], [0, 0, 0], [0, 1, 1]]]);
  for (let token = 1; token < 256; token++) traffic.add([[1], [0]]);
  expect(traffic.uses).toEqual([[0.5, 128, 0.5], [128, 0.5, 0.5]]);
  expect(traffic.affinity[0]?.[0]).toEqual([0, 0.5, 0.5]);
  expect(() => traffic.add([[7], [9], [0]])).not.toThrow();
});

test('does without pairs where there are too many', () => {
  expect(new RecentTraffic(model(1100)).affinity).toEqual([]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HOME } from '../../../src/mesh/plan-types.ts';
import { movedBytes, planRoom, type RoomPlan } from '../../../src/mesh/planner/plan-room.ts';
import type { MeshModel, MeshRoom } from '../../../src/mesh/planner/room.ts';
import { slotsOf } from '../../../src/mesh/planner/placement.ts';
import { nearness } from '../../../src/mesh/planner/travel.ts';
import { falling, model, peer, room, scenes, type Scene } from './rooms.ts';

const experts = (scene: Scene, before?: RoomPlan) => planRoom(scene.model, scene.room, scene.traffic, { strategy: 'experts' }, before);

/** Bytes that each peer holds by the plan. */
function heldBytes({ moeLayers }: MeshModel, { holders }: RoomPlan): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const [layer, peers] of holders.entries()) for (const id of peers.flat()) bytes.set(id, (bytes.get(id) ?? 0) + (moeLayers[layer]?.expertBytes ?? 0));
  return bytes;
}

/** Whether all experts fit. */
function hasRoom({ model: shape, room: { peers } }: Scene): boolean {
  return shape.moeLayers.every(({ experts: count }, layer) => peers.reduce((sum, { memoryBytes }) => sum + slotsOf(shape, layer, memoryBytes), 0) >= count);
}

/** Milliseconds of a token over all conversations; over all tabs where there are none. */
function timeOf(plan: RoomPlan, { peers }: MeshRoom): number {
  const idle = peers.every(({ conversations }) => conversations === 0);
  return peers.reduce((sum, { id, conversations }) => sum + (idle ? 1 : conversations) * (plan.tabs.get(id)?.cost.tokenMs ?? NaN), 0);
}

/** Rooms of peers alike, each with more memory than its share, and the room that is left when the last one is gone. */
const evenRooms = fc
  .record({ count: fc.integer({ min: 2, max: 7 }), spare: fc.integer({ min: 0, max: 7 }), busy: fc.integer({ min: 1, max: 7 }), skew: fc.double({ min: 0, max: 2, noNaN: true }), oneWayMs: fc.integer({ min: 1, max: 100 }) })
  .map(({ count, spare, busy, skew, oneWayMs }) => {
    const shape = model(3, 16, 2);
    const memoryBytes = 3000 * (Math.ceil(16 / (count - 1)) + spare);
    const peers = Array.from({ length: count }, (_, i) => peer(`p${i}`, { memoryBytes, conversations: i < Math.min(busy, count - 1) ? 1 : 0 }));
    const scene = (given: typeof peers): Scene => ({ model: shape, room: room(given, oneWayMs), traffic: falling(shape, skew) });
    return { all: scene(peers), rest: scene(peers.slice(0, -1)), last: `p${count - 1}` };
  });

describe('experts', () => {
  test('no peer holds more than it has slots for, and none an expert twice', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        const plan = experts(scene);
        for (const [layer, holders] of plan.holders.entries()) {
          for (const { id, memoryBytes } of scene.room.peers) expect(holders.filter((peers) => peers.includes(id)).length).toBeLessThanOrEqual(slotsOf(scene.model, layer, memoryBytes));
        }
        for (const peers of plan.holders.flat()) expect(new Set(peers).size).toBe(peers.length);
      }),
    );
  });

  test('every expert has a holder where there is memory for all', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        fc.pre(hasRoom(scene));
        expect(experts(scene).holders.flat().filter((peers) => peers.length === 0)).toEqual([]);
      }),
    );
  });

  test('no slot is left while an expert is without a holder', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        for (const [layer, holders] of experts(scene).holders.entries()) {
          if (holders.every((peers) => peers.length > 0)) continue;
          const slots = scene.room.peers.reduce((sum, { memoryBytes }) => sum + slotsOf(scene.model, layer, memoryBytes), 0);
          expect(holders.flat()).toHaveLength(slots);
        }
      }),
    );
  });

  test("each tab's plan names the same holders: itself, as home, then the nearest first", () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        const { tabs, holders } = experts(scene);
        const near = nearness(scene.model, scene.room);
        const numbers = new Map(scene.room.peers.map(({ id }, i) => [id, i]));
        for (const [tab, { plan }] of tabs) {
          if (plan.strategy !== 'experts') throw new Error('not asked for');
          for (const [i, layer] of plan.layers.entries()) {
            for (const [expert, peers] of layer.holders.entries()) {
              const named = peers.map((id) => (id === HOME ? tab : id));
              expect(named.toSorted()).toEqual([...(holders[i]?.[expert] ?? [])].sort());
              const costs = named.map((id) => (id === tab ? -1 : near[numbers.get(tab) ?? -1]?.[numbers.get(id) ?? -1] ?? NaN));
              expect(costs).toEqual(costs.toSorted((a, b) => a - b));
            }
          }
        }
      }),
    );
  });

  test('what everybody uses is held by the tab itself, what nobody uses by the slow and far', () => {
    const shape = model(2, 8, 2);
    const peers = [peer('tab', { memoryBytes: 8000, conversations: 1 }), peer('phone', { memoryBytes: 8000, expertMs: 5 })];
    const { holders } = planRoom(shape, room(peers, 10), falling(shape), { strategy: 'experts' });
    for (const layer of holders) expect(layer.map(([first]) => first)).toEqual([...Array<string>(4).fill('tab'), ...Array<string>(4).fill('phone')]);
  });

  test('memory that is left takes replicas of the busiest', () => {
    const shape = model(1, 6, 2);
    const peers = [peer('a', { memoryBytes: 5000, conversations: 1 }), peer('b', { memoryBytes: 5000, conversations: 1 })];
    const { holders } = planRoom(shape, room(peers, 10), falling(shape), { strategy: 'experts' });
    expect(holders[0]?.map((each) => each.length)).toEqual([2, 2, 2, 2, 1, 1]);
  });

  test('of peers alike, the one that computed the layer before for the same tokens', () => {
    const shape: MeshModel = { ...model(2, 2, 1), moeLayers: [{ layer: 0, experts: 2, expertBytes: 1000 }, { layer: 1, experts: 4, expertBytes: 1000 }] };
    const peers = [peer('tab', { memoryBytes: 0, conversations: 1 }), peer('b', { memoryBytes: 3000 }), peer('c', { memoryBytes: 3000 })];
    const uses = [[20, 20], [10, 10, 10, 10]];
    const together = (first: readonly number[], second: readonly number[]) => {
      const followers = [first, second].map((nexts) => [0, 1, 2, 3].map((next) => (nexts.includes(next) ? 10 : 0)));
      const { holders } = planRoom(shape, room(peers, 5), { uses, affinity: [followers] }, { strategy: 'experts' });
      const [before, after] = holders.map((layer) => layer.map(([id]) => id));
      return [first, second].every((nexts, i) => nexts.every((next) => after?.[next] === before?.[i]));
    };
    expect(together([0, 1], [2, 3])).toBe(true);
    expect(together([2, 1], [0, 3])).toBe(true);
    expect(together([3, 2], [1, 0])).toBe(true);
  });

  test('a tab that holds all asks nobody', () => {
    const shape = model(3, 4, 2);
    const plan = planRoom(shape, room([peer('tab', { conversations: 1 }), peer('other')], 1), falling(shape));
    expect(plan.tabs.get('tab')?.cost).toMatchObject({ messagesPerToken: 0, bytesPerToken: 0, remoteShare: 0 });
  });

  test('where a token uses all experts, the frames are those of all holders', () => {
    const shape = model(3, 4, 4);
    const peers = [peer('tab', { memoryBytes: 3000, conversations: 1 }), peer('b', { memoryBytes: 6000 }), peer('c', { memoryBytes: 3000 })];
    const plan = planRoom(shape, room(peers, 1), { uses: [] }, { strategy: 'experts' });
    const asked = plan.holders.map((layer) => new Set(layer.flat().filter((id) => id !== 'tab')).size);
    const frames = asked.reduce((sum, count) => sum + count, 0);
    const { plan: own, cost } = plan.tabs.get('tab') ?? {};
    expect(own?.messagesPerToken).toBeCloseTo(2 * frames);
    expect(cost?.messagesPerToken).toBeCloseTo(2 * frames);
    expect(cost?.bytesPerToken).toBeCloseTo(2 * frames * shape.rowBytes);
  });
});

describe('planned again', () => {
  test('nothing moves where nothing changed', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        fc.pre(hasRoom(scene));
        const before = experts(scene);
        const after = experts(scene, before);
        expect(after.version).toBe(before.version + 1);
        expect(after.holders).toEqual(before.holders);
      }),
    );
  });

  test('nothing moves for traffic that changed little', () => {
    const shape = model(4, 16, 2);
    const peers = ['a', 'b', 'c'].map((id) => peer(id, { memoryBytes: 30_000, conversations: 1 }));
    const before = planRoom(shape, room(peers, 10), falling(shape), { strategy: 'experts' });
    const drifted = { uses: falling(shape).uses.map((layer) => layer.map((uses, expert) => uses * (expert % 2 ? 1.1 : 0.9))) };
    expect(movedBytes(shape, before, planRoom(shape, room(peers, 10), drifted, { strategy: 'experts' }, before))).toBe(0);
  });

  test('replicas follow traffic that changed much', () => {
    const shape = model(4, 16, 2);
    const peers = ['a', 'b', 'c'].map((id) => peer(id, { memoryBytes: 30_000, conversations: 1 }));
    const before = planRoom(shape, room(peers, 10), falling(shape, 2), { strategy: 'experts' });
    const turned = { uses: falling(shape, 2).uses.map((layer) => layer.toReversed()) };
    const after = planRoom(shape, room(peers, 10), turned, { strategy: 'experts' }, before);
    const fresh = planRoom(shape, room(peers, 10), turned, { strategy: 'experts' });
    const moved = movedBytes(shape, before, after);
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(movedBytes(shape, before, fresh));
    expect(after.holders[0]?.at(-1)).toHaveLength(3);
  });

  test('when somebody leaves, the others fetch no more than he held', () => {
    fc.assert(
      fc.property(evenRooms, ({ all, rest, last }) => {
        const before = experts(all);
        const after = experts(rest, before);
        expect(after.holders.flat().filter((peers) => peers.length === 0)).toEqual([]);
        expect(movedBytes(all.model, before, after)).toBeLessThanOrEqual(heldBytes(all.model, before).get(last) ?? 0);
      }),
    );
  });

  test('when somebody joins, only he fetches, unless the others gain by it as well', () => {
    fc.assert(
      fc.property(evenRooms, ({ all, rest, last }) => {
        const before = experts(rest);
        const after = experts(all, before);
        if (timeOf(after, rest.room) < 0.9 * timeOf(before, rest.room)) return;
        expect(movedBytes(all.model, before, after)).toBe(heldBytes(all.model, after).get(last) ?? 0);
      }),
    );
  });

  test('a peer with less memory keeps what is worth most there', () => {
    const shape = model(1, 8, 1);
    const tabs = (bytes: number) => room([peer('tab', { memoryBytes: bytes, conversations: 1 }), peer('b', { memoryBytes: 8000 })], 10);
    const before = planRoom(shape, tabs(4000), falling(shape), { strategy: 'experts' });
    const after = planRoom(shape, tabs(2000), falling(shape), { strategy: 'experts' }, before);
    expect(after.holders[0]?.map((peers) => peers.includes('tab'))).toEqual([true, true, false, false, false, false, false, false]);
    expect(after.holders[0]?.every((peers) => peers.length > 0)).toBe(true);
  });
});

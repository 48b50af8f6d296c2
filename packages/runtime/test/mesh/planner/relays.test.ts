import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planRoom, type RoomPlan } from '../../../src/mesh/planner/plan-room.ts';
import type { MeshPeer, MeshRoom } from '../../../src/mesh/planner/room.ts';
import { falling, model, peer, room, scenes } from './rooms.ts';

const relaysOf = ({ tabs }: RoomPlan, tab: string): [string, string][] => {
  const plan = tabs.get(tab)?.plan;
  return plan?.strategy === 'experts' ? [...plan.relays] : [];
};

/** A tab at home, and peers beyond an ocean that are near each other. */
function overseas(count: number, tab: Partial<MeshPeer>): MeshRoom {
  const peers = [peer('tab', { memoryBytes: 0, conversations: 4, ...tab }), ...Array.from({ length: count }, (_, i) => peer(`far${i}`))];
  return { peers, latencyMs: peers.map((_, a) => peers.map((_peer, b) => (a === b ? 0 : a === 0 || b === 0 ? 80 : 2))) };
}

test('over a narrow uplink one of the peers overseas relays for the others', () => {
  const shape = model(4, 32, 8, 1000);
  const far = overseas(6, { upBytesPerMs: 1000 });
  const spread: MeshRoom = { ...far, peers: far.peers.map((each) => (each.id === 'tab' ? each : { ...each, memoryBytes: 24_000 })) };
  const flat = planRoom(shape, spread, falling(shape), { strategy: 'experts' });
  const relayed = planRoom(shape, spread, falling(shape), { strategy: 'experts', relays: true });
  expect(relaysOf(flat, 'tab')).toEqual([]);
  expect(new Set(relaysOf(relayed, 'tab').map(([, relay]) => relay)).size).toBe(1);
  expect(relaysOf(relayed, 'tab')).toHaveLength(5);
  expect(relayed.tabs.get('tab')?.cost.tokenMs).toBeLessThan(0.95 * (flat.tabs.get('tab')?.cost.tokenMs ?? 0));
});

test('a peer that is only reached slowly is reached through one that reaches it fast', () => {
  const shape = model(2, 4, 2);
  const peers = [peer('tab', { memoryBytes: 0, conversations: 1 }), peer('near', { memoryBytes: 4000 }), peer('far', { memoryBytes: 4000 })];
  const latencyMs = [[0, 2, 60], [2, 0, 5], [60, 5, 0]];
  const plan = planRoom(shape, { peers, latencyMs }, falling(shape), { strategy: 'experts', relays: true });
  expect(relaysOf(plan, 'tab')).toEqual([['far', 'near']]);
});

test('two peers in the same house are asked without a relay', () => {
  const shape = model(2, 4, 2);
  const peers = [peer('tab', { memoryBytes: 0, conversations: 1 }), peer('b', { memoryBytes: 4000 }), peer('c', { memoryBytes: 4000 })];
  expect(relaysOf(planRoom(shape, room(peers, 1), falling(shape), { strategy: 'experts', relays: true }), 'tab')).toEqual([]);
});

test('relays are direct, and never make a token later by the cost model', () => {
  fc.assert(
    fc.property(scenes(3), (scene) => {
      const flat = planRoom(scene.model, scene.room, scene.traffic, { strategy: 'experts' });
      const relayed = planRoom(scene.model, scene.room, scene.traffic, { strategy: 'experts', relays: true });
      expect(relayed.holders).toEqual(flat.holders);
      for (const { id } of scene.room.peers) {
        const ways = new Map(relaysOf(relayed, id));
        for (const [to, relay] of ways) {
          expect(ways.has(relay)).toBe(false);
          expect([id, relay]).not.toContain(to);
          expect(relay).not.toBe(id);
        }
        expect(relayed.tabs.get(id)?.cost.tokenMs).toBeLessThanOrEqual(flat.tabs.get(id)?.cost.tokenMs ?? 0);
      }
    }),
  );
});

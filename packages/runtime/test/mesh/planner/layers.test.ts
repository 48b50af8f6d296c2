import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planRoom } from '../../../src/mesh/planner/plan-room.ts';
import { falling, model, peer, room, scenes } from './rooms.ts';

const shape = model(12, 16, 4);
const home = (conversations = 1, memoryBytes = 64_000) => peer('home', { conversations, memoryBytes });
const peers = (conversations?: number, memoryBytes?: number) => [home(conversations, memoryBytes), peer('b', { memoryBytes: 64_000 }), peer('c', { memoryBytes: 64_000 })];

describe('layers', () => {
  test('ranges cover the model once, in order, and fit into memory', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        const plan = planRoom(scene.model, scene.room, scene.traffic, { strategy: 'layers' });
        if (plan.strategy !== 'layers') return;
        let next = 0;
        for (const { peer: id, first, end } of plan.stages) {
          expect(first).toBe(next);
          expect(end).toBeGreaterThan(first);
          const bytes = scene.model.moeLayers.filter(({ layer }) => first <= layer && layer < end).reduce((sum, { experts, expertBytes }) => sum + experts * expertBytes, 0);
          expect(bytes).toBeLessThanOrEqual(scene.room.peers.find((each) => each.id === id)?.memoryBytes ?? 0);
          next = end;
        }
        expect(next).toBe(scene.model.layerCount);
        expect(new Set(plan.stages.map(({ peer: id }) => id)).size).toBe(plan.stages.length);
      }),
    );
  });

  test('home has the first layers and as few peers as suffice the rest; a token goes from one to the next and home', () => {
    const plan = planRoom(shape, room(peers(), 25), falling(shape), { strategy: 'layers' });
    expect(plan.stages).toEqual([
      { peer: 'home', first: 0, end: 4 },
      { peer: 'b', first: 4, end: 8 },
      { peer: 'c', first: 8, end: 12 },
    ]);
    const { plan: own, cost } = plan.tabs.get('home') ?? {};
    expect(own).toMatchObject({ strategy: 'layers', ranges: plan.stages.slice(1) });
    expect(cost?.messagesPerToken).toBe(3);
    expect(cost?.tokenMs).toBeGreaterThan(75);
    expect(cost?.tokenMs).toBeLessThan(85);
  });

  test('the way goes to the nearest next one, and home', () => {
    const names = ['home', 'far', 'near', 'middle'];
    const place = [0, 30, 10, 20];
    const line = { peers: names.map((id) => peer(id, { conversations: id === 'home' ? 1 : 0, memoryBytes: 48_000 })), latencyMs: place.map((a) => place.map((b) => Math.abs(a - b))) };
    const plan = planRoom(shape, line, falling(shape), { strategy: 'layers' });
    // There and back by the same places is as long as the other way round.
    expect([['near', 'middle', 'far'], ['far', 'middle', 'near']]).toContainEqual(plan.stages.slice(1).map(({ peer: id }) => id));
    // A tab in the middle has the pass at home between its peers: two chains, one of two peers.
    expect(plan.tabs.get('middle')?.cost.messagesPerToken).toBe(5);
  });

  test('without memory for all layers experts are spread', () => {
    expect(planRoom(shape, room(peers(1, 0), 25), falling(shape), { strategy: 'layers' }).strategy).toBe('experts');
  });

  test('planned again, ranges stay where they are unless others are clearly better', () => {
    fc.assert(
      fc.property(scenes(2), (scene) => {
        const before = planRoom(scene.model, scene.room, scene.traffic, { strategy: 'layers' });
        expect(planRoom(scene.model, scene.room, scene.traffic, { strategy: 'layers' }, before).stages).toEqual(before.stages);
      }),
    );
  });
});

describe('auto', () => {
  test('slow links and one conversation: layers', () => {
    expect(planRoom(shape, room(peers(), 25), falling(shape)).strategy).toBe('layers');
  });

  test('a tab that holds nearly all that it uses: experts', () => {
    const skewed = falling(shape, 4);
    expect(planRoom(shape, room(peers(1, 160_000), 2), skewed).strategy).toBe('experts');
  });

  test('takes what costs the conversations less', () => {
    fc.assert(
      fc.property(scenes(), (scene) => {
        const time = (strategy: 'experts' | 'layers' | 'auto') => {
          const plan = planRoom(scene.model, scene.room, scene.traffic, { strategy });
          const idle = scene.room.peers.every(({ conversations }) => conversations === 0);
          return scene.room.peers.reduce((sum, { id, conversations }) => sum + (idle ? 1 : conversations) * (plan.tabs.get(id)?.cost.tokenMs ?? NaN), 0);
        };
        expect(time('auto')).toBe(Math.min(time('experts'), time('layers')));
      }),
    );
  });
});

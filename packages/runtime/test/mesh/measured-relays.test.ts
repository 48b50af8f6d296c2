// Links that differ: what members tell of their round trips makes one of them a relay, and the tokens stay those of one tab.
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { RoomPlanner } from '../../src/worker/room-planner.ts';
import { readReference } from '../fixtures/reference.ts';
import { MemoryLink } from './memory-link.ts';
import { openRoom } from './room.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const [{ ids: PROMPT = [], greedy = [], robust_tokens = 0 } = {}] = readReference(FOLDER).prompts;
const EXPERT_BYTES = 1000;
/** One way, in ms, by the names of both ends. */
const DELAYS = new Map([['a b', 1], ['a c', 40], ['b c', 1]]);
/** The second byte of a frame that asks for experts. */
const WORK = 1;

const works = ({ sent }: MemoryLink): number => sent.filter((frame) => frame[1] === WORK).length;

test('a far peer is reached through a near one', async () => {
  const planners = new Map<string, RoomPlanner>();
  const room = await openRoom(FOLDER, { tabs: 3, onNews: (tab, from, news) => planners.get(tab)?.hear(from, news) });
  const tabs = [room.home, ...room.helpers];
  const layers = moeLayers(room.home.model.spec);
  const model = {
    layerCount: room.home.model.spec.layers.length,
    moeLayers: layers.map(({ index, ffn }) => ({ layer: index, experts: ffn.experts, expertBytes: EXPERT_BYTES })),
    topK: layers[0]?.ffn.topK ?? 0,
    rowBytes: 4 * room.home.model.spec.hiddenSize,
  };
  const memoryBytes = 0.4 * EXPERT_BYTES * layers.reduce((sum, { ffn }) => sum + ffn.experts, 0);
  const roundTrips = (name: string) => new Map(tabs.flatMap((other): [string, number][] => (other.name === name ? [] : [[other.name, 2 * (DELAYS.get([name, other.name].toSorted().join(' ')) ?? 0)]])));
  for (const { name, mesh } of tabs) {
    planners.set(name, new RoomPlanner({
      self: name,
      memoryBytes,
      model,
      traffic: { uses: [] },
      options: { strategy: 'experts', relays: true },
      peers: mesh.peers,
      status: () => ({ isHost: false, conversations: name === 'a' ? 1 : 0, roundTripsMs: roundTrips(name) }),
      onPlan: (plan) => (mesh.plan = plan),
    }));
  }
  const [near, far] = room.helpers;
  if (!near || !far) throw new Error('a room of three has two helpers');
  const [atNear, atFar] = MemoryLink.pair(near.name, far.name);
  near.mesh.peers.add(atNear);
  far.mesh.peers.add(atFar);
  const [toNear, toFar] = [near, far].map(({ name }) => room.links.get(name) ?? []);
  for (const [ends, way] of [[toNear, 'a b'], [toFar, 'a c'], [[atNear, atFar], 'b c']] as const) for (const end of ends ?? []) end.conditions.delayMs = DELAYS.get(way) ?? 0;
  for (const { name } of tabs) for (const other of tabs) if (other.name !== name) planners.get(name)?.join(other.name, memoryBytes);

  await vi.waitFor(
    () => {
      expect([...planners.values()].map(({ leader }) => leader)).toEqual(['a', 'a', 'a']);
      const { plan } = room.home.mesh;
      expect(plan?.strategy === 'experts' && [...plan.relays]).toEqual([['c', 'b']]);
      // The relay knows by now who has what.
      const { plan: followed } = near.mesh;
      expect(followed?.strategy === 'experts' && followed.layers.some(({ holders }) => holders.flat().includes('c'))).toBe(true);
    },
    { timeout: 60_000 },
  );
  const [homeToFar] = toFar ?? [];
  if (!homeToFar) throw new Error('no link');
  const session = await room.home.model.createSession();
  const { ids, mesh } = await room.home.mesh.generate(session, { promptIds: PROMPT, maxTokens: robust_tokens, stopIds: [] }, {});
  expect(ids).toEqual(greedy.slice(0, robust_tokens));
  expect(mesh.remoteChoices).toBeGreaterThan(0);
  expect(works(homeToFar)).toBe(0);
  expect(works(atNear)).toBeGreaterThan(0);
  expect(room.stray).toEqual([]);
  room.dispose();
});

import { expect, test } from 'vitest';
import { answerFrameBytes, workFrameBytes } from '../../packages/runtime/src/mesh/frames.ts';
import { planRoom } from '../../packages/runtime/src/mesh/planner/plan-room.ts';
import type { MeshModel } from '../../packages/runtime/src/mesh/planner/room.ts';
import { VirtualClock, Line } from './clock.ts';
import { roomOf, type Profile } from './profiles.ts';
import { simulate } from './simulate.ts';

const PROFILE: Profile = { name: 'even', sites: ['here'], nearMs: 10, farMs: [[10]], jitterMs: 0, loss: 0, upMbit: 8, downMbit: 8 };
const MODEL: MeshModel = { layerCount: 3, moeLayers: [1, 2].map((layer) => ({ layer, experts: 4, expertBytes: 1 })), topK: 2, rowBytes: 4000 };
const TOKENS = [[[0, 1], [2, 3]], [[1, 2], [0, 3]]];

/** A tab without memory and a peer that holds everything. */
function scene(strategy: 'experts' | 'layers') {
  const { peers, latencyMs } = roomOf(PROFILE, { peers: 2, tabs: 1, conversations: 1, memoryBytes: 100 });
  const room = { latencyMs, peers: peers.map((peer, i) => (i === 0 ? { ...peer, memoryBytes: 0 } : peer)) };
  return { model: MODEL, room, profile: PROFILE, plan: planRoom(MODEL, room, { uses: [] }, { strategy }), choices: [TOKENS], seed: 1 };
}

test('time passes by what was waited for, and lines serve one after the other', async () => {
  const clock = new VirtualClock();
  const line = new Line();
  const ends: number[] = [];
  const use = async (start: number, ms: number) => {
    await clock.until(start);
    await clock.until(line.take(clock.now, ms));
    ends.push(clock.now);
  };
  await clock.run(Promise.all([use(5, 1), use(0, 3), use(1, 4)]));
  expect(ends).toEqual([3, 7, 8]);
  await expect(clock.run(new Promise(() => {}))).rejects.toThrow('never comes');
});

test('a token of experts takes what its frames take', async () => {
  const { room, ...rest } = scene('experts');
  const [home, other] = room.peers;
  const bytes = workFrameBytes('f32', 1, 2, 1000) + answerFrameBytes('f32', 1, 1000);
  // Each frame: handled on both sides, out of one line and into the other, 1,000 bytes a millisecond.
  const exchange = 2 * 10 + (2 * bytes) / 1000 + 4 * 0.05 + 2 * (other?.expertMs ?? NaN);
  const outcome = await simulate({ room, ...rest });
  expect(outcome.tokenMs).toBeCloseTo(3 * (home?.trunkLayerMs ?? NaN) + 2 * exchange);
  expect(outcome).toMatchObject({ messagesPerToken: 4, bytesPerToken: 2 * bytes, hedgesPerToken: 0 });
});

test('a token of layers goes to the peer once', async () => {
  const { room, ...rest } = scene('layers');
  const outcome = await simulate({ room, ...rest });
  expect(outcome).toMatchObject({ messagesPerToken: 2, bytesPerToken: 8000 });
  expect(outcome.tokenMs).toBeCloseTo(room.peers.length * 10 + (2 * 8000) / 1000 + 4 * 0.05 + computeMs(room.peers));
});

test('a token of layers goes from peer to peer, and takes what the planner says', async () => {
  const { peers, latencyMs } = roomOf(PROFILE, { peers: 3, tabs: 1, conversations: 1, memoryBytes: 4 });
  const room = { latencyMs, peers: peers.map((peer, i) => (i === 0 ? { ...peer, memoryBytes: 0 } : peer)) };
  const plan = planRoom(MODEL, room, { uses: [] }, { strategy: 'layers' });
  const cost = plan.tabs.get(room.peers[0]?.id ?? '')?.cost;
  const outcome = await simulate({ model: MODEL, room, profile: PROFILE, plan, choices: [TOKENS], seed: 1 });
  expect(outcome.messagesPerToken).toBe(3);
  expect(outcome).toMatchObject({ messagesPerToken: cost?.messagesPerToken, bytesPerToken: cost?.bytesPerToken });
  expect(outcome.tokenMs).toBeCloseTo(cost?.tokenMs ?? NaN);
});

/** Layer 0 has no experts, and so fits into a tab without memory. */
function computeMs([home, other]: ReturnType<typeof roomOf>['peers']): number {
  return (home?.trunkLayerMs ?? NaN) + 2 * (other?.trunkLayerMs ?? NaN) + 2 * 2 * (other?.expertMs ?? NaN);
}

// Several conversations in one room, peers that relay, and rounded activations.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReference } from '../fixtures/reference.ts';
import { openRoom, type TestRoom } from './room.ts';
import { MemoryLink } from './memory-link.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const [{ ids: PROMPT = [], greedy = [], robust_tokens = 0 } = {}] = readReference(FOLDER).prompts;
const EXPECTED = greedy.slice(0, robust_tokens);
const OTHERS = [[9, 8, 7, 6, 5], [300, 2, 14], [77]];

describe('a room of three', () => {
  let room: TestRoom;
  beforeAll(async () => {
    room = await openRoom(FOLDER, { tabs: 3 });
  });
  afterAll(() => room?.dispose());

  async function answer(promptIds: readonly number[], maxTokens: number): Promise<readonly number[]> {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    try {
      return (await mesh.generate(session, { promptIds, maxTokens, stopIds: [] }, {})).ids;
    } finally {
      model.disposeSession(session);
    }
  }

  it('conversations of one tab share their frames, and write what each writes alone', async () => {
    const prompts = [PROMPT, ...OTHERS];
    const frames = () => [...room.links.values()].reduce((sum, [atHome]) => sum + atHome.sent.length, 0);
    const alone: (readonly number[])[] = [];
    for (const prompt of prompts) alone.push(await answer(prompt, robust_tokens));
    expect(alone[0]).toEqual(EXPECTED);
    const before = frames();
    expect(await Promise.all(prompts.map((prompt) => answer(prompt, robust_tokens)))).toEqual(alone);
    expect(frames() - before).toBeLessThan(before / 2);
    expect(room.stray).toEqual([]);
  });

  it('a peer passes on what is for another one, and answers for both', async () => {
    const [near, far] = room.helpers;
    const { plan } = room.home.mesh.experts.exchange;
    if (!near || !far || !plan) throw new Error('a room of three has two helpers and a plan');
    const [atNear, atFar] = MemoryLink.pair(near.name, far.name);
    near.mesh.peers.add(atNear);
    far.mesh.peers.add(atFar);
    near.mesh.plan = { ...plan, layers: plan.layers.map(({ layer, holders }) => ({ layer, holders: holders.map((names) => names.map((name) => (name === near.name ? 'home' : name))) })) };
    room.home.mesh.plan = { ...plan, relays: new Map([[far.name, near.name]]) };
    const [atHome] = room.links.get(far.name) ?? [];
    const before = atHome?.sent.length;
    expect(await answer(PROMPT, robust_tokens)).toEqual(EXPECTED);
    expect(atHome?.sent.length).toBe(before);
    expect(atNear.sent.length).toBeGreaterThan(0);
    // Where the relay is gone, the far peer is asked directly.
    room.home.mesh.peers.get(near.name)?.close('gone');
    expect(await answer(PROMPT, robust_tokens)).toEqual(EXPECTED);
    expect(atHome?.sent.length).toBeGreaterThan(before ?? 0);
  });
});

describe.each(process.env['GATEFOLD_THOROUGH'] === '1' ? (['f16', 'int8'] as const) : (['int8'] as const))('activations as %s', (wire) => {
  it('are within what checks allow', async () => {
    const room = await openRoom(FOLDER, { tabs: 2, mesh: { wire, checkShare: 1 } });
    const session = await room.home.model.createSession();
    const { ids, mesh } = await room.home.mesh.generate(session, { promptIds: PROMPT, maxTokens: 4, stopIds: [] }, {});
    expect(ids).toHaveLength(4);
    expect(mesh.checks).toBeGreaterThan(0);
    expect(mesh.bans).toEqual([]);
    room.dispose();
  });
});

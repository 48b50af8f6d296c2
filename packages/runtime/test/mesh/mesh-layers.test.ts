// Whole layers at peers, over links in memory: the tokens of a tab that has the model for itself, one trip a peer and token.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { MeshOutcome } from '../../src/engine/experts/mesh-answer.ts';
import { MeshNode } from '../../src/engine/experts/mesh-node.ts';
import { readReference } from '../fixtures/reference.ts';
import { layerRanges, openRoom, PATIENT, type TestRoom } from './room.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const [{ ids: PROMPT = [], greedy = [], robust_tokens = 0 } = {}] = readReference(FOLDER).prompts;
const EXPECTED = greedy.slice(0, robust_tokens);

describe('layers at peers', () => {
  let room: TestRoom;
  beforeAll(async () => {
    room = await openRoom(FOLDER, { tabs: 3 });
  });
  afterAll(() => room?.dispose());

  const spread = (): void => {
    room.home.mesh.plan = layerRanges(room.home.model, room.home.mesh.peers.names);
  };

  async function answer(onToken: (index: number) => void = () => {}): Promise<MeshOutcome> {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    let index = 0;
    try {
      return await mesh.generate(session, { promptIds: PROMPT, maxTokens: robust_tokens, stopIds: [] }, { onToken: () => onToken(index++) });
    } finally {
      model.disposeSession(session);
    }
  }

  it('gives the tokens of one tab, with one request a peer and token', async () => {
    spread();
    const { plan } = room.home.mesh;
    const { ids, mesh } = await answer();
    expect(ids).toEqual(EXPECTED);
    expect(plan?.framesPerToken).toBeGreaterThan(0);
    expect(mesh.decodeMessages).toBe(2 * (plan?.framesPerToken ?? 0) * mesh.decodeTokens);
    expect(mesh.decodeTokens).toBe(EXPECTED.length - 1);
    expect(room.stray).toEqual([]);
  });

  it.each([1, 2])('begins again without %i peers that are lost, and tells nothing twice', async (lost) => {
    spread();
    let told = 0;
    const { ids, mesh } = await answer((index) => {
      told++;
      if (index === 3) for (const { name } of room.helpers.slice(0, lost)) room.home.mesh.peers.get(name)?.close('killed');
    });
    expect(ids).toEqual(EXPECTED);
    expect(told).toBe(EXPECTED.length);
    expect(mesh.revisions).toBe(1);
    for (const helper of room.helpers) room.join(helper);
  });

  it('a session goes on by experts after layers, and the other way round', async () => {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    const next = [...PROMPT, ...EXPECTED];
    spread();
    await mesh.generate(session, { promptIds: PROMPT, maxTokens: robust_tokens, stopIds: [] }, {});
    const layers = mesh.plan;
    mesh.plan = undefined;
    const alone = await mesh.generate(session, { promptIds: next, maxTokens: 3, stopIds: [] }, {});
    mesh.plan = layers;
    const spreadAgain = await mesh.generate(session, { promptIds: next, maxTokens: 3, stopIds: [] }, {});
    model.disposeSession(session);
    expect(spreadAgain.ids).toEqual(alone.ids);
  });

  it('a room that is left gives back what it took, and its sessions go on', async () => {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    const before = model.memory.buffers;
    mesh.dispose();
    await vi.waitFor(() => expect(model.memory.buffers).toBeLessThan(before));
    const alone = model.memory.buffers;
    const again = await MeshNode.open(model, mesh.paged.residency.host, PATIENT);
    expect(model.memory.buffers).toBeGreaterThan(alone);
    again.dispose();
    await vi.waitFor(() => expect(model.memory.buffers).toBe(alone));
    const { ids } = await session.generate({ promptIds: PROMPT, maxTokens: 4, stopIds: [] }, {});
    expect(ids).toEqual(EXPECTED.slice(0, 4));
    expect(room.stray).toEqual([]);
  });
});

// Whole layers at peers, over links in memory: the tokens of a tab that has the model for itself, one hop a peer and token.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { MeshOutcome } from '../../src/engine/experts/mesh-answer.ts';
import { MeshNode } from '../../src/engine/experts/mesh-node.ts';
import { decodeFrame, encodeFrame } from '../../src/mesh/frames.ts';
import { readReference } from '../fixtures/reference.ts';
import { MemoryLink } from './memory-link.ts';
import { layerRanges, openRoom, PATIENT, type Tab, type TestRoom } from './room.ts';

const WAIT = { timeout: 60_000 };

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const [{ ids: PROMPT = [], greedy = [], robust_tokens = 0 } = {}] = readReference(FOLDER).prompts;
/** Enough to fail in the middle; all of the robust prefix where time does not matter. */
const TOKENS = process.env['GATEFOLD_THOROUGH'] === '1' ? robust_tokens : Math.min(robust_tokens, 10);
const EXPECTED = greedy.slice(0, TOKENS);

const OTHERS = [[9, 8, 7, 6, 5], [300, 2, 14]];

describe('layers at peers', () => {
  let room: TestRoom;
  /** Between the helpers: the first one's end, and the second one's. */
  let between: readonly [MemoryLink, MemoryLink];
  /** How long to wait, the next times; then as long as it takes. */
  const waits: number[] = [];
  const wait = (): number => waits.shift() ?? PATIENT.hedge.mostMs;
  beforeAll(async () => {
    room = await openRoom(FOLDER, { tabs: 3, mesh: { hedge: { ...PATIENT.hedge, get mostMs() { return wait(); } } } });
    meet();
  });
  afterAll(() => room?.dispose());

  const helper = (i: 0 | 1): Tab => {
    const tab = room.helpers[i];
    if (!tab) throw new Error('a room of three has two helpers');
    return tab;
  };
  const meet = (): void => {
    const [a, b] = [helper(0), helper(1)];
    between = MemoryLink.pair(a.name, b.name);
    a.mesh.peers.add(between[0]);
    b.mesh.peers.add(between[1]);
  };
  const spread = (): void => {
    room.home.mesh.plan = layerRanges(room.home.model, room.helpers.map(({ name }) => name));
  };

  async function answer(onToken: (index: number) => void = () => {}, { tab = room.home, promptIds = PROMPT, maxTokens = TOKENS } = {}): Promise<MeshOutcome & { readonly experts: readonly unknown[] }> {
    const { model, mesh } = tab;
    const session = await model.createSession();
    const experts: unknown[] = [];
    try {
      const outcome = await mesh.generate(session, { promptIds, maxTokens, stopIds: [] }, { onToken: (event) => onToken(experts.push(event.experts) - 1) });
      return { ...outcome, experts };
    } finally {
      model.disposeSession(session);
    }
  }

  it('gives the tokens of one tab, with one hop to each peer and one home', async () => {
    spread();
    const { plan } = room.home.mesh;
    const frames = between[0].sent.length;
    const { ids, mesh } = await answer();
    expect(ids).toEqual(EXPECTED);
    expect(plan?.messagesPerToken).toBe(3);
    expect(mesh.decodeMessages).toBe(3 * mesh.decodeTokens);
    expect(mesh.decodeTokens).toBe(EXPECTED.length - 1);
    // The prompt is one pass.
    expect(between[0].sent.length - frames).toBe(EXPECTED.length);
    expect(between[1].sent).toEqual([]);
    expect(room.stray).toEqual([]);
  });

  it('goes by home where two peers have no link', async () => {
    spread();
    between[0].close('they lose each other');
    await vi.waitFor(() => expect(helper(0).mesh.peers.names).toEqual(['a']));
    const { ids, mesh } = await answer();
    expect(ids).toEqual(EXPECTED);
    expect(mesh.decodeMessages).toBe(4 * mesh.decodeTokens);
    expect(mesh.revisions).toBe(0);
    meet();
  });

  it('conversations of several tabs are on their way at the same time, and write what each writes alone', async () => {
    const [b, c] = [helper(0), helper(1)];
    // Home has the first layer, so that its own choices can be told.
    const [, last] = layerRanges(room.home.model, ['', c.name]).ranges;
    if (!last) throw new Error('two ranges');
    room.home.mesh.plan = { strategy: 'layers', version: 2, messagesPerToken: 2, ranges: [last] };
    b.mesh.plan = layerRanges(b.model, [c.name, 'a']);
    const all = [PROMPT, ...OTHERS].map((promptIds) => ({ promptIds, maxTokens: 6 }));
    const alone = [];
    for (const each of all) alone.push(await answer(undefined, each));
    const [atHome] = room.links.get(c.name) ?? [];
    if (!atHome) throw new Error('no link');
    const before = atHome.sent.length;
    atHome.conditions.isFrozen = true;
    const together = Promise.all([...all.map((each) => answer(undefined, each)), answer(undefined, { ...all[1], tab: b })]);
    // Nothing comes back: each of them has sent its own.
    await vi.waitFor(() => expect(atHome.sent.length - before).toBe(all.length), WAIT);
    atHome.thaw();
    const [first, second, third, others] = await together;
    for (const [i, outcome] of [first, second, third].entries()) {
      expect(outcome?.ids).toEqual(alone[i]?.ids);
      expect(outcome?.experts.map((layers) => Array.isArray(layers) && layers[0])).toEqual(alone[i]?.experts.map((layers) => Array.isArray(layers) && layers[0]));
    }
    expect(others?.ids).toEqual(alone[1]?.ids);
    b.mesh.plan = undefined;
    expect(room.stray).toEqual([]);
  });

  it.each(['the one that keeps it', 'the one whose frame is lost on the way'] as const)('a pass that does not come home: %s is done without', async (which) => {
    spread();
    const silent = which === 'the one that keeps it' ? helper(0) : helper(1);
    const [, atHelper] = room.links.get(silent.name) ?? [];
    const { peers } = room.home.mesh;
    const { ids, mesh } = await answer((index) => {
      if (index !== 3) return;
      // The one does nothing any more, the other one is alive.
      between[0].conditions.isFrozen = true;
      if (silent === helper(0) && atHelper) atHelper.conditions.isFrozen = true;
      // For the pass, which one that is alive is to have sent on by then, and for where it is, which only the other one does not tell.
      waits.push(...(silent === helper(0) ? [20, 20, 20] : [600]));
    });
    expect(ids).toEqual(EXPECTED);
    expect(mesh.revisions).toBe(1);
    expect(peers.isReady((silent === helper(0) ? helper(1) : helper(0)).name)).toBe(true);
    for (const each of room.helpers) room.join(each);
    meet();
  });

  it('who in a chain gives what is not finite is found, and banned', async () => {
    const liar = helper(1);
    room.join(liar, 'liar');
    room.home.mesh.peers.get(liar.name)?.close('comes again by another name');
    const between2 = MemoryLink.pair(helper(0).name, 'liar');
    helper(0).mesh.peers.add(between2[0]);
    liar.mesh.peers.add(between2[1]);
    const [, atLiar] = room.links.get('liar') ?? [];
    if (!atLiar) throw new Error('no link');
    atLiar.conditions.corrupt = (bytes) => {
      const frame = decodeFrame(bytes, room.home.model.spec.hiddenSize);
      return frame.kind === 'passed' ? encodeFrame({ ...frame, rows: frame.rows.fill(NaN, 3, 4) }) : bytes;
    };
    room.home.mesh.plan = layerRanges(room.home.model, [helper(0).name, 'liar']);
    const { ids, mesh } = await answer();
    expect(ids).toEqual(EXPECTED);
    expect(mesh.bans).toEqual([{ peer: 'liar', reason: 'gave a result that is not finite' }]);
    for (const each of room.helpers) room.join(each);
    meet();
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
    for (const each of room.helpers) room.join(each);
    meet();
  });

  it('a session goes on by experts after layers, and the other way round', async () => {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    const next = [...PROMPT, ...EXPECTED];
    spread();
    await mesh.generate(session, { promptIds: PROMPT, maxTokens: TOKENS, stopIds: [] }, {});
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

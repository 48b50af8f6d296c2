// What peers do wrong while an answer is written: the tokens are those of one tab all the same.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MeshOutcome } from '../../src/engine/experts/mesh-answer.ts';
import { decodeFrame, encodeFrame } from '../../src/mesh/frames.ts';
import { readReference } from '../fixtures/reference.ts';
import { PATIENT, openRoom, type TestRoom } from './room.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const PROMPT = readReference(FOLDER).prompts[0]?.ids ?? [];
const TOKENS = 24;

type Rows = Float32Array<ArrayBuffer>;

describe('peers that fail in the middle of an answer', () => {
  const hedge = { ...PATIENT.hedge };
  let room: TestRoom;
  let solo: readonly number[];

  beforeAll(async () => {
    room = await openRoom(FOLDER, { tabs: 3, replicas: 2, mesh: { hedge, checkShare: 0.2 } });
    // Kernels are compiled; from now on nobody waits for long.
    await answer();
    for (const { name } of room.helpers) room.home.mesh.peers.get(name)?.close('for a run alone');
    solo = (await answer()).ids;
    for (const helper of room.helpers) room.join(helper);
  });
  afterAll(() => room?.dispose());

  async function answer(onToken: (index: number) => void = () => {}): Promise<MeshOutcome & { readonly revised: readonly number[] }> {
    const { model, mesh } = room.home;
    const session = await model.createSession();
    const revised: number[] = [];
    let index = 0;
    try {
      const outcome = await mesh.generate(session, { promptIds: PROMPT, maxTokens: TOKENS, stopIds: [] }, { onToken: () => onToken(index++), onRevise: (from) => void revised.push((index = from)) });
      return { ...outcome, revised };
    } finally {
      model.disposeSession(session);
    }
  }

  /** A helper's answers get these rows, under a name of its own: it will be banned. */
  function corrupt(name: string, change: (rows: Rows) => Rows): void {
    const [, helper] = room.helpers;
    if (!helper) throw new Error('a room of three has two helpers');
    room.home.mesh.peers.get(helper.name)?.close('comes again by another name');
    room.join(helper, name);
    const [, atHelper] = room.links.get(name) ?? [];
    if (!atHelper) throw new Error('it has no link');
    atHelper.conditions.corrupt = (bytes) => {
      const frame = decodeFrame(bytes, room.home.model.spec.hiddenSize);
      return frame.kind === 'answer' ? encodeFrame({ ...frame, rows: change(frame.rows) }) : bytes;
    };
  }

  it('one is killed at every tenth token, and comes again', async () => {
    const { mesh, ids } = await answer((index) => {
      const victim = room.helpers[Math.floor(index / 10) % 2];
      if (victim && index % 10 === 5) room.home.mesh.peers.get(victim.name)?.close('killed');
      if (victim && index % 10 === 9) room.join(victim);
    });
    expect(ids).toEqual(solo);
    expect(mesh.remoteChoices).toBeGreaterThan(0);
  });

  it('all are killed at once', async () => {
    const { ids } = await answer((index) => {
      if (index === 5) for (const { name } of room.helpers) room.home.mesh.peers.get(name)?.close('killed');
    });
    expect(ids).toEqual(solo);
    expect(room.home.mesh.experts.exchange.isAlone).toBe(true);
    for (const helper of room.helpers) room.join(helper);
  });

  it('one freezes: it is stood in for, and asked again only when it has answered', async () => {
    hedge.leastMs = hedge.mostMs = 100;
    const [helper] = room.helpers;
    const [, atHelper] = room.links.get(helper?.name ?? '') ?? [];
    const { mesh, ids } = await answer((index) => {
      if (index === 4 && atHelper) atHelper.conditions.isFrozen = true;
    });
    expect(ids).toEqual(solo);
    expect(mesh.resends + mesh.failovers).toBeGreaterThan(0);
    expect(room.home.mesh.peers.isReady(helper?.name ?? '')).toBe(false);
    atHelper?.thaw();
    Object.assign(hedge, PATIENT.hedge);
    for (const again of room.helpers) room.join(again);
  });

  it('one answers late: what comes late is dropped', async () => {
    hedge.leastMs = hedge.mostMs = 100;
    const [helper] = room.helpers;
    const [, atHelper] = room.links.get(helper?.name ?? '') ?? [];
    if (atHelper) atHelper.conditions.delayMs = 150;
    const { ids } = await answer();
    expect(ids).toEqual(solo);
    expect(room.bans).toEqual([]);
    Object.assign(hedge, PATIENT.hedge);
    for (const again of room.helpers) room.join(again);
  });

  it('one sends what is not finite: it is banned with the reason', async () => {
    corrupt('nan', (rows) => rows.fill(NaN, 3, 4));
    const { ids, mesh } = await answer();
    expect(ids).toEqual(solo);
    expect(mesh.bans).toEqual([{ peer: 'nan', reason: 'gave a result that is not finite' }]);
  });

  it('one sends another shape', async () => {
    corrupt('short', (rows) => new Float32Array([...rows, ...rows]).slice(0, rows.length - 32));
    const { ids, mesh } = await answer();
    expect(ids).toEqual(solo);
    expect(mesh.bans).toMatchObject([{ peer: 'short' }]);
    expect(mesh.bans[0]?.reason).toMatch(/bytes instead of/);
  });

  it('one sends numbers that are slightly wrong: the answer goes back to before them', async () => {
    corrupt('wrong', (rows) => rows.map((value) => value * 1.001));
    const { ids, mesh } = await answer();
    expect(ids).toEqual(solo);
    expect(mesh.bans).toMatchObject([{ peer: 'wrong' }]);
    expect(mesh.bans[0]?.reason).toMatch(/is off by/);
    expect(mesh.revisions).toBe(1);
  });

  it('one sends garbage', async () => {
    const [, helper] = room.helpers;
    if (helper) room.join(helper, 'garbage');
    const [, atHelper] = room.links.get('garbage') ?? [];
    if (atHelper) atHelper.conditions.corrupt = (bytes) => bytes.map((byte, i) => byte ^ (i * 167 + 13));
    const { ids, mesh } = await answer();
    expect(ids).toEqual(solo);
    expect(mesh.bans).toMatchObject([{ peer: 'garbage' }]);
    expect(room.stray).toEqual([]);
  });
});

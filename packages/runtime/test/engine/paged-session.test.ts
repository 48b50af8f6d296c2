// What a chat relies on where experts come and go, on Node's Dawn.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { ExpertsUnavailableError, GpuBudgetError, PinError } from '../../src/residency/paging-errors.ts';
import { SourceError } from '../../src/shards/errors.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { openFixture, type OpenFixture } from './open-fixture.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const PROMPT = [17, 300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];
const OPTIONS = { contextLength: 96, prefillChunk: 8 };

describe('sessions in a GPU budget', () => {
  let resident: OpenFixture;
  let paged: OpenFixture;
  beforeAll(async () => {
    resident = await openFixture(FOLDER, OPTIONS);
    paged = await openFixture(FOLDER, { ...OPTIONS, gpuBudget: '50%' });
  });
  afterAll(() => {
    for (const open of [resident, paged]) {
      open?.model.dispose();
    }
  });

  async function generate({ model }: OpenFixture, promptIds: readonly number[], maxTokens: number, sampling = {}): Promise<readonly number[]> {
    const session = await model.createSession();
    try {
      return (await session.generate({ promptIds, maxTokens, stopIds: [], sampling }, {})).ids;
    } finally {
      model.disposeSession(session);
    }
  }

  it('run ahead, fail and go back without a trace, with every setting on', async () => {
    const sampling = { temperature: 0.9, topK: 50, topP: 0.95, minP: 0.01, repeatPenalty: 1.3, seed: 7 };
    const expected = await generate(resident, PROMPT, 40, sampling);
    expect(await generate(paged, PROMPT, 40, sampling)).toEqual(expected);
    expect(paged.stray).toEqual([]);
  });

  it('take turns without touching each other', async () => {
    const prompts = [PROMPT, [9, 8, 7, 6, 5]];
    const both = await Promise.all(prompts.map((prompt) => generate(paged, prompt, 8)));
    for (const [i, prompt] of prompts.entries()) expect(both[i]).toEqual(await generate(resident, prompt, 8));
  });

  it('stop at an abort, even in the middle of a token, and go on afterwards', async () => {
    const session = await paged.model.createSession();
    const stop = new AbortController();
    let seen = 0;
    const handlers = { onToken: () => void (++seen === 3 && queueMicrotask(() => stop.abort())) };
    const aborted = await session.generate({ promptIds: PROMPT, maxTokens: 60, stopIds: [] }, handlers, stop.signal);
    expect(aborted.finishReason).toBe('aborted');
    const after = await session.generate({ promptIds: PROMPT, maxTokens: 8, stopIds: [] }, {});
    paged.model.disposeSession(session);
    expect(after.ids).toEqual(await generate(resident, PROMPT, 8));
  });

  it('survive a network that is gone: the error says how many experts are missing', async () => {
    const open = await openFixture(FOLDER, { ...OPTIONS, gpuBudget: '100%' });
    const offline = vi.spyOn(PathSource.prototype, 'read').mockRejectedValue(new SourceError('source-network', 'model.gguf', 'no connection'));
    const session = await open.model.createSession();
    const failure = await session.generate({ promptIds: PROMPT, maxTokens: 4, stopIds: [] }, {}).catch((error: unknown) => error);
    offline.mockRestore();
    if (!(failure instanceof ExpertsUnavailableError)) throw new Error(`expected ExpertsUnavailableError, got ${String(failure)}`);
    expect(failure).toMatchObject({ missing: 32, total: 32, layer: 0 });
    expect(failure.message).toMatch(/32 of the model's 32 experts/);
    const after = await session.generate({ promptIds: PROMPT, maxTokens: 8, stopIds: [] }, {});
    expect(after.ids).toEqual(await generate(resident, PROMPT, 8));
    open.model.dispose();
  });

  it('keep pinned experts, whatever else is asked for', async () => {
    const open = await openFixture(FOLDER, { ...OPTIONS, gpuBudget: '38%' });
    const pins = [0, 9].map((expert) => ({ layer: 1, expert }));
    await open.model.pinExperts(pins);
    expect(await generate(open, PROMPT, 12)).toEqual(await generate(resident, PROMPT, 12));
    const [, places = []] = open.model.expertPlaces();
    expect(pins.map(({ expert }) => places[expert])).toEqual(['gpu', 'gpu']);
    expect(places.filter((place) => place === 'gpu')).toHaveLength(6);
    await expect(open.model.pinExperts([0, 1, 2].map((expert) => ({ layer: 0, expert })))).rejects.toThrow(PinError);
    await expect(open.model.pinExperts([{ layer: 0, expert: 16 }])).rejects.toThrow(RangeError);
    open.model.dispose();
  });

  it('count what experts cost', async () => {
    const open = await openFixture(FOLDER, { ...OPTIONS, gpuBudget: '100%' });
    const session = await open.model.createSession();
    const run = () => session.generate({ promptIds: PROMPT, maxTokens: 8, stopIds: [] }, {});
    const first = await run();
    expect(first.counts.expertLoads).toBeGreaterThan(0);
    expect(first.counts.expertLoads).toBeLessThanOrEqual(32);
    // All that the prompt asks for is there now: a token is one submit, as with all experts resident.
    const second = await run();
    expect(second.counts.expertLoads).toBe(0);
    expect(second.counts.submits).toBe(second.counts.tokens);
    open.model.dispose();
  });

  it('take a budget that is just enough for one token, and refuse one byte less with both numbers', async () => {
    const refused = await openFixture(FOLDER, { gpuBudget: 1000 }).catch((error: unknown) => error);
    if (!(refused instanceof GpuBudgetError)) throw new Error(`expected GpuBudgetError, got ${String(refused)}`);
    const { needed } = refused;
    expect(refused.message).toMatch(new RegExp(`1000 bytes.*at least ${needed}`));
    await expect(openFixture(FOLDER, { gpuBudget: needed - 1 })).rejects.toMatchObject({ name: 'GpuBudgetError', budget: needed - 1, needed });
    const open = await openFixture(FOLDER, { ...OPTIONS, gpuBudget: needed });
    expect(open.model.weights.bytes).toBe(needed);
    for (const { index, ffn } of moeLayers(open.model.spec)) expect(open.model.weights.experts(index).slotCount).toBe(ffn.topK);
    expect(await generate(open, PROMPT, 4)).toEqual(await generate(resident, PROMPT, 4));
    open.model.dispose();
  });
});

// Sessions on Node's Dawn: what a chat relies on beyond right numbers.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceLostError, DisposedError, PromptError, PromptTooLongError, SamplingError } from '../../src/engine/errors.ts';
import { LimitError } from '../../src/residency/errors.ts';
import type { LoadOptions } from '../../src/api/types.ts';
import { openAlone, openFixture, type OpenFixture } from './open-fixture.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const CONTEXT = 96;
const PROMPT = [17, 300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];

describe('sessions', () => {
  let open: OpenFixture;
  beforeAll(async () => {
    open = await openFixture(FOLDER, { contextLength: CONTEXT, prefillChunk: 8 });
  });
  afterAll(() => open?.model.dispose());

  async function greedy(promptIds: readonly number[], maxTokens: number): Promise<readonly number[]> {
    const session = await open.model.createSession();
    try {
      return (await session.generate({ promptIds, maxTokens, stopIds: [] }, {})).ids;
    } finally {
      open.model.disposeSession(session);
    }
  }

  it('takes one submit and at most nine dispatches a layer for a token', async () => {
    const session = await open.model.createSession();
    const { counts } = await session.generate({ promptIds: PROMPT, maxTokens: 6, stopIds: [] }, {});
    open.model.disposeSession(session);
    expect(counts.submits).toBe(5);
    expect(counts.readbacks).toBe(5);
    const layers = open.model.spec.layers.length;
    // Beside the layers: embedding, logits, and the greedy sampler's two.
    expect(counts.dispatches / counts.submits).toBeLessThanOrEqual(9 * layers + 4);
  });

  it('reuses the common prefix of the next turn and writes what a fresh session does', async () => {
    const session = await open.model.createSession();
    const first = await session.generate({ promptIds: PROMPT, maxTokens: 5, stopIds: [] }, {});
    const next = [...PROMPT, ...first.ids, 11, 12, 13];
    const second = await session.generate({ promptIds: next, maxTokens: 5, stopIds: [] }, {});
    // All but the last generated token was fed.
    expect(second.reusedTokens).toBe(PROMPT.length + 4);
    const other = await session.generate({ promptIds: [...PROMPT.slice(0, 6), 400, 401], maxTokens: 5, stopIds: [] }, {});
    expect(other.reusedTokens).toBe(6);
    open.model.disposeSession(session);
    expect(second.ids).toEqual(await greedy(next, 5));
    expect(other.ids).toEqual(await greedy([...PROMPT.slice(0, 6), 400, 401], 5));
  });

  it('lets sessions take turns without touching each other', async () => {
    const [a, b] = [await open.model.createSession(), await open.model.createSession()];
    const prompts = [PROMPT, [9, 8, 7, 6, 5]];
    const both = await Promise.all([a, b].map((session, i) => session.generate({ promptIds: prompts[i] ?? [], maxTokens: 8, stopIds: [] }, {})));
    open.model.disposeSession(a);
    open.model.disposeSession(b);
    expect(both[0]?.ids).toEqual(await greedy(PROMPT, 8));
    expect(both[1]?.ids).toEqual(await greedy([9, 8, 7, 6, 5], 8));
  });

  it('stops within one token of an abort and goes on afterwards', async () => {
    const session = await open.model.createSession();
    const stop = new AbortController();
    const seen: number[] = [];
    const aborted = await session.generate(
      { promptIds: PROMPT, maxTokens: 60, stopIds: [] },
      {
        onToken: ({ id }) => {
          seen.push(id);
          if (seen.length === 3) stop.abort();
        },
      },
      stop.signal,
    );
    expect(aborted.finishReason).toBe('aborted');
    expect(aborted.ids.length).toBeLessThanOrEqual(4);
    expect(aborted.ids).toEqual(seen);
    const after = await session.generate({ promptIds: PROMPT, maxTokens: 8, stopIds: [] }, {});
    open.model.disposeSession(session);
    expect(after.ids).toEqual(await greedy(PROMPT, 8));
  });

  it('ends at a stop id, which is not given out, and at the end of the context', async () => {
    const ids = await greedy(PROMPT, 8);
    const session = await open.model.createSession();
    const stopAt = ids[3] ?? -1;
    const stopped = await session.generate({ promptIds: PROMPT, maxTokens: 8, stopIds: [stopAt] }, {});
    expect(stopped.finishReason).toBe('stop');
    expect(stopped.ids).toEqual(ids.slice(0, ids.indexOf(stopAt)));
    const full = await session.generate({ promptIds: Array.from({ length: CONTEXT - 2 }, (_, i) => i + 1), stopIds: [] }, {});
    open.model.disposeSession(session);
    expect(full.finishReason).toBe('length');
    expect(full.ids.length).toBe(3);
  });

  it('gives the same tokens for the same seed, with every setting on', async () => {
    const sampling = { temperature: 0.9, topK: 50, topP: 0.95, minP: 0.01, repeatPenalty: 1.1, seed: 1234 };
    const runs: (readonly number[])[] = [];
    for (const seed of [1234, 1234, 4321]) {
      const session = await open.model.createSession();
      runs.push((await session.generate({ promptIds: PROMPT, maxTokens: 12, stopIds: [], sampling: { ...sampling, seed } }, {})).ids);
      open.model.disposeSession(session);
    }
    expect(runs[0]).toEqual(runs[1]);
    expect(runs[0]).not.toEqual(runs[2]);
  });

  it('gives log-probabilities that the choice agrees with', async () => {
    const session = await open.model.createSession();
    const events: { id: number; logprob?: number; topLogprobs?: readonly { id: number; logprob: number }[] }[] = [];
    await session.generate({ promptIds: PROMPT, maxTokens: 3, stopIds: [], topLogprobs: 4 }, { onToken: (event) => events.push(event) });
    open.model.disposeSession(session);
    expect(events.length).toBe(3);
    for (const { id, logprob, topLogprobs } of events) {
      expect(topLogprobs?.length).toBe(4);
      expect(topLogprobs?.[0]?.id).toBe(id);
      expect(topLogprobs?.[0]?.logprob).toBeCloseTo(logprob ?? NaN, 4);
    }
  });

  it('refuses bad input by name', async () => {
    const session = await open.model.createSession();
    await expect(session.generate({ promptIds: [] }, {})).rejects.toThrowError(PromptError);
    await expect(session.generate({ promptIds: [512] }, {})).rejects.toMatchObject({ details: { id: 512, vocabSize: 512 } });
    await expect(session.generate({ promptIds: Array.from({ length: CONTEXT + 1 }, () => 1) }, {})).rejects.toThrowError(PromptTooLongError);
    await expect(session.generate({ promptIds: [1], sampling: { topP: 2 } }, {})).rejects.toThrowError(SamplingError);
    open.model.disposeSession(session);
    await expect(session.generate({ promptIds: [1] }, {})).rejects.toThrowError(DisposedError);
  });

  it('frees every buffer of a session', async () => {
    const before = open.model.memoryUse();
    const session = await open.model.createSession();
    expect(open.model.memoryUse().gpuBuffers).toBeGreaterThan(before.gpuBuffers);
    open.model.disposeSession(session);
    expect(open.model.memoryUse()).toEqual(before);
  });

  it('caused no GPU error', () => {
    expect(open.stray).toEqual([]);
  });
});

describe('models', () => {
  it('give the same tokens where a binding holds a few experts only', async () => {
    const results: (readonly number[])[] = [];
    for (const options of [{}, { maxBindingBytes: 160_000 }]) {
      const { model, stray } = await openFixture(FOLDER, { contextLength: CONTEXT, prefillChunk: 8, ...options });
      const session = await model.createSession();
      results.push((await session.generate({ promptIds: PROMPT, maxTokens: 6, stopIds: [] }, {})).ids);
      expect(stray).toEqual([]);
      model.dispose();
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('leave no GPU buffer behind', async () => {
    const { model, device } = await openAlone(FOLDER, { contextLength: CONTEXT });
    const live = new Set<GPUBuffer>();
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      live.add(buffer);
      buffer.destroy = () => {
        live.delete(buffer);
        return destroy();
      };
      return buffer;
    };
    const session = await model.createSession();
    await session.generate({ promptIds: PROMPT, maxTokens: 3, stopIds: [] }, {});
    await model.evaluate([1, 2, 3]);
    expect(live.size).toBeGreaterThan(0);
    model.dispose();
    expect(live.size).toBe(0);
    expect(model.memoryUse()).toMatchObject({ gpuBuffers: 0, gpuBytes: 0 });
    device.destroy();
  });

  it('name the limit that is too small for an expert, and for the context', async () => {
    const refused = (options: LoadOptions) => openFixture(FOLDER, options).catch((error: unknown) => error);
    const expert = await refused({ contextLength: 1, maxBindingBytes: 20_000 });
    expect(expert).toBeInstanceOf(LimitError);
    expect(expert).toMatchObject({ limit: 'maxStorageBufferBindingSize', available: 20_000 });
    const context = await refused({ contextLength: 200, maxBindingBytes: 160_000 });
    expect(context).toBeInstanceOf(LimitError);
    // Four heads of 64 in f32: 1,024 bytes a position.
    expect(context).toMatchObject({ needed: 204_800, available: 160_000, message: expect.stringContaining('contextLength: at most 156') });
  });

  it('tell that their device is lost', async () => {
    const { model, device } = await openAlone(FOLDER, { contextLength: CONTEXT });
    device.destroy();
    await device.lost;
    await expect(model.createSession()).rejects.toThrowError(DeviceLostError);
  });
});

// The whole library without a worker: a fixture's model on Node's Dawn.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import type { Model, ProgressEvent, Warning } from '../../src/api/types.ts';
import { DeviceLostError, DisposedError, PromptTooLongError, SamplingError } from '../../src/engine/errors.ts';
import { loadInNode } from '../../src/node.ts';
import { fixtures } from '../fixtures/fixtures.ts';

const PATH = join(fixtures().find(({ name }) => name === 'olmoe-q4_0')?.folder ?? '', 'model.gguf');
const OPTIONS = { contextLength: 64 };

/** Dawn, with the devices that it gave out. */
function watchedGpu(): { readonly gpu: GPU; readonly devices: GPUDevice[] } {
  const devices: GPUDevice[] = [];
  const gpu = {
    async requestAdapter() {
      const adapter = await dawnGpu().requestAdapter();
      if (!adapter) return null;
      const { features, limits, info } = adapter;
      const requestDevice = async (descriptor: GPUDeviceDescriptor) => {
        const device = await adapter.requestDevice(descriptor);
        devices.push(device);
        return device;
      };
      return { features, limits, info, requestDevice };
    },
  } as unknown as GPU;
  return { gpu, devices };
}

describe('a model in Node', () => {
  const progress: ProgressEvent[] = [];
  const warnings: Warning[] = [];
  const { gpu, devices } = watchedGpu();
  let model: Model;

  // One load for all: on a CPU adapter compiling takes its time.
  beforeAll(async () => {
    model = await loadInNode(PATH, { ...OPTIONS, onProgress: (event) => progress.push(event), onWarning: (warning) => warnings.push(warning) }, gpu);
  }, 600_000);
  afterAll(() => model.dispose());

  test('says how loading goes, in order, to the last byte', () => {
    const phases = progress.map(({ phase }) => phase).filter((phase, place, all) => phase !== all[place - 1]);
    expect(phases.filter((phase) => phase !== 'upload')).toEqual(['header', 'fetch', 'compile', 'ready']);
    const last = progress.at(-1);
    expect(last?.bytes).toBe(last?.bytesTotal);
    expect(last?.shards).toBe(last?.shardsTotal);
    expect(warnings.map(({ code }) => code)).toEqual(['slow-adapter']);
  });

  test('knows itself', async () => {
    expect(model.info).toMatchObject({ contextLength: 64, spec: { arch: 'olmoe' }, modelId: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(model.info.parameterCount).toBeGreaterThan(1000);
    const { gpuBytes, weightBytes, kvBytes } = await model.memory();
    expect(gpuBytes).toBeGreaterThan(weightBytes);
    expect(kvBytes).toBe(0);
  });

  test('generates, reuses what it has, and stops within a token when told', async () => {
    const session = await model.createSession();
    const ids: number[] = [];
    const generation = session.generate({ promptIds: [1, 2, 3], maxTokens: 5, stopIds: [] });
    let next = await generation.next();
    for (; !next.done; next = await generation.next()) ids.push(next.value.id);
    expect(next.value).toMatchObject({ ids, finishReason: 'length', stats: { promptTokens: 3, reusedTokens: 0, generatedTokens: 5, submitsPerToken: 1 } });
    const again = session.generate({ promptIds: [1, 2, 3, ...ids], maxTokens: 1, stopIds: [] });
    await again.next();
    expect((await again.next()).value).toMatchObject({ stats: { reusedTokens: 7 } });
    for await (const token of session.generate({ promptIds: [4, 5], stopIds: [] })) if (token.position >= 4) break;
    await session.dispose();
    await expect(session.generate({ promptIds: [1] }).next()).rejects.toBeInstanceOf(DisposedError);
    expect((await model.memory()).kvBytes).toBe(0);
  });

  test('refuses prompts and settings by name', async () => {
    const session = await model.createSession();
    await expect(session.generate({ promptIds: Array.from({ length: 65 }, () => 1) }).next()).rejects.toBeInstanceOf(PromptTooLongError);
    await expect(session.generate({ promptIds: [1], sampling: { topP: 2 } }).next()).rejects.toBeInstanceOf(SamplingError);
    await session.dispose();
  });

  test('answers as OpenAI does, the same for the same seed', async () => {
    const request = { prompt: [1, 2, 3], max_tokens: 4, seed: 5, logprobs: 2 };
    const first = await model.completions.create(request);
    const second = await model.completions.create(request);
    expect(first.choices).toEqual(second.choices);
    expect(first.usage).toMatchObject({ prompt_tokens: 3, total_tokens: expect.any(Number) });
    expect(second.usage?.prompt_tokens_details.cached_tokens).toBe(2);
  });

  test('when its device is lost, everything says so and how to go on', async () => {
    const session = await model.createSession();
    const generation = session.generate({ promptIds: [1, 2], stopIds: [] });
    await generation.next();
    devices[0]?.destroy();
    const rest = async () => {
      for await (const token of generation) expect(token.id).toBeGreaterThanOrEqual(0);
    };
    await expect(rest()).rejects.toBeInstanceOf(DeviceLostError);
    await expect(model.createSession()).rejects.toThrow(/Load the model again/);
    await expect(model.completions.create({ prompt: [1] })).rejects.toBeInstanceOf(DeviceLostError);
  });
});

test('a signal ends loading by its reason, and the device goes', async () => {
  const { gpu, devices } = watchedGpu();
  const control = new AbortController();
  const onProgress = ({ phase }: ProgressEvent) => {
    if (phase === 'fetch') control.abort(new Error('changed my mind'));
  };
  await expect(loadInNode(PATH, { ...OPTIONS, signal: control.signal, onProgress }, gpu)).rejects.toThrow('changed my mind');
  expect(await devices[0]?.lost).toMatchObject({ reason: 'destroyed' });
});

test('a missing file is told by name, and the device goes', async () => {
  const { gpu, devices } = watchedGpu();
  await expect(loadInNode('/no/such/model.gguf', OPTIONS, gpu)).rejects.toMatchObject({ code: 'source-missing', message: expect.stringContaining('model.gguf') });
  expect(await devices[0]?.lost).toMatchObject({ reason: 'destroyed' });
});

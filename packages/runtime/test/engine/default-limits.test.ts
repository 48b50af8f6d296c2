// The least device that WebGPU promises (Node's Dawn, no feature, default limits) runs every path of the engine.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import type { LoadOptions } from '../../src/api/types.ts';
import { summarise, type GpuDevice } from '../../src/engine/device.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { differences, readReference } from '../fixtures/reference.ts';
import { openOn, testGpu, type OpenFixture, type TestGpu } from './open-on.ts';

const CONTEXT = 96;

async function leastDevice(): Promise<GpuDevice> {
  const adapter = await dawnGpu().requestAdapter();
  if (!adapter) throw new Error('no adapter');
  const device = await adapter.requestDevice();
  return { device, adapterInfo: adapter.info, summary: summarise(device, adapter.info) };
}

let shared: Promise<TestGpu> | undefined;

async function openOnLeast(folder: string, options: LoadOptions = {}): Promise<OpenFixture> {
  shared ??= leastDevice().then(testGpu);
  return openOn(await shared, new PathSource(join(folder, 'model.gguf')), { contextLength: CONTEXT, ...options });
}

/** One fixture of each kind of mixer; those beside the checkout where there are any. */
const KINDS = new Set(['olmoe-q4_0', 'lfm2-dense-q8_0', 'prmoe-deepspeed', 'gptoss-mxfp4', 'deepseek2-v2-q4_k_m', 'qwen3next-q5_0']);

describe('a device with default limits and no feature', () => {
  it('is what the tests below ask for', async () => {
    const { device } = await leastDevice();
    const { maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage, maxComputeWorkgroupsPerDimension } = device.limits;
    expect([maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage, maxComputeWorkgroupsPerDimension]).toEqual([2 ** 27, 2 ** 14, 8, 65_535]);
    expect([...device.features].filter((feature) => feature !== 'core-features-and-limits')).toEqual([]);
    device.destroy();
  });

  for (const { name, folder } of fixtures().filter((fixture) => KINDS.has(fixture.name))) {
    const { prompts, tensors } = readReference(folder);
    const { ids: prompt = [], greedy = [], robust_tokens: robust = 0 } = prompts[0] ?? {};

    describe(name, () => {
      let open: OpenFixture;
      beforeAll(async () => {
        open = await openOnLeast(folder);
      });
      afterAll(() => open?.model.dispose());

      it('reads a prompt in one pass and token by token', async () => {
        for (const chunk of [prompt.length, 1]) expect(differences(await open.model.evaluate(prompt, { chunk }), tensors, 0)).toEqual([]);
      });

      it('decodes, greedily and by every setting of sampling, sessions alone and at the same time', async () => {
        const draw = { temperature: 0.9, topK: 50, topP: 0.95, minP: 0.01, repeatPenalty: 1.1, seed: 7 };
        const sessions = [await open.model.createSession(), await open.model.createSession()];
        const run = (n: number, sampling = {}) => sessions[n]?.generate({ promptIds: prompt, maxTokens: Math.max(robust, 4), stopIds: [], sampling }, {});
        const alone = [await run(0), await run(1, draw)];
        expect(alone[0]?.ids.slice(0, robust)).toEqual(greedy.slice(0, robust));
        // The second time what passes for both need is compiled, unless the model's sessions take turns.
        for (let round = 0; round < 2; round++) {
          const together = await Promise.all([run(0), run(1, draw)]);
          for (const [n, outcome] of together.entries()) expect(outcome?.ids.slice(0, robust)).toEqual(alone[n]?.ids.slice(0, robust));
        }
        for (const session of sessions) open.model.disposeSession(session);
      });

      it('caused no GPU error', () => {
        expect(open.stray).toEqual([]);
      });
    });
  }

  it.each<[string, LoadOptions]>([
    ['experts on demand', { gpuBudget: '50%' }],
    ['short passes', { prefillChunk: 8 }],
  ])('runs %s', async (_, options) => {
    const folder = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
    const { ids = [], greedy = [], robust_tokens: robust = 0 } = readReference(folder).prompts[0] ?? {};
    const { model, stray } = await openOnLeast(folder, options);
    const session = await model.createSession();
    const outcome = await session.generate({ promptIds: ids, maxTokens: robust, stopIds: [] }, {});
    expect(outcome.ids).toEqual(greedy.slice(0, robust));
    expect(stray).toEqual([]);
    model.dispose();
  });
});

// Whole models through the public API in Firefox, compared with what Hugging Face transformers computes from the same files.
import { join } from 'node:path';
import type { JSHandle, Page } from 'puppeteer-core';
import { expect, it } from 'vitest';
import type { EvalTensor, EvalTensors, Model } from '../../packages/runtime/src/api/types.ts';
import { differences, readReference } from '../../packages/runtime/test/fixtures/reference.ts';
import { serveApi } from '../pages/serve.ts';
import { describeFirefox, waitFor } from './firefox.ts';

const FIXTURES = join(import.meta.dirname, '../../packages/runtime/test/fixtures');

describeFirefox('fixtures in Firefox', serveApi, (pages) => {
  for (const name of ['olmoe-q4_0', 'qwen3moe-q4_k_m', 'prmoe-q5_0']) {
    it(`${name}: every value and the greedy tokens agree`, async () => {
      const { browser, server } = pages();
      const { prompts, tensors } = readReference(join(FIXTURES, name));
      const page = await browser.newPage();
      await page.goto(server.url);
      await waitFor(page, () => 'gatefold' in window);
      const model = await page.evaluateHandle((url) => window.gatefold.load(url, { contextLength: 256 }), `${name}/model.gguf`);
      expect(page.workers()).toHaveLength(1);
      const stored = await model.evaluate(async ({ info }) => (await window.gatefold.listModels()).find(({ id }) => id === info.modelId));
      expect(stored).toMatchObject({ shards: stored?.shardsTotal, bytes: stored?.bytesTotal });
      for (const [number, { ids, greedy, robust_tokens: robust }] of prompts.entries()) {
        // In one go, in chunks, and token by token.
        for (const chunk of [ids.length, 7, 1]) {
          expect(differences(await evaluate(page, model, ids, chunk), tensors, number), `prompt ${number} in passes of ${chunk}`).toEqual([]);
        }
        const generated = await generateGreedily(page, model, ids, greedy.length);
        expect(generated.slice(0, robust), `greedy tokens of prompt ${number}`).toEqual(greedy.slice(0, robust));
      }
      await model.evaluate((loaded) => loaded.dispose());
      await page.close();
    });
  }
});

async function evaluate(page: Page, model: JSHandle<Model>, ids: readonly number[], chunk: number): Promise<EvalTensors> {
  const json = await page.evaluate(
    async (loaded, given, options) => {
      const tensors = Object.entries(await loaded.evaluate(given, options));
      return JSON.stringify(tensors.map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: [...data] }]));
    },
    model,
    ids,
    { chunk },
  );
  const tensors = JSON.parse(json) as [string, Omit<EvalTensor, 'data'> & { data: (number | null)[] }][];
  // JSON writes null for numbers that are none.
  return Object.fromEntries(tensors.map(([name, { data, ...tensor }]) => [name, { ...tensor, data: Float32Array.from(data, (value) => value ?? NaN) }]));
}

function generateGreedily(page: Page, model: JSHandle<Model>, promptIds: readonly number[], maxTokens: number): Promise<number[]> {
  return page.evaluate(
    async (loaded, request) => {
      const session = await loaded.createSession();
      const ids: number[] = [];
      for await (const { id } of session.generate(request)) ids.push(id);
      await session.dispose();
      return ids;
    },
    model,
    { promptIds, maxTokens, stopIds: [] },
  );
}

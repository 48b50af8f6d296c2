// Whole models through the public API in Chromium (f32), compared with what Hugging Face transformers computes from the same files.
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type JSHandle, type Page } from 'playwright/test';
import type { EvalTensors, Model } from '../packages/runtime/src/api/types.ts';
import { SUPPORTED_FAMILIES } from '../packages/runtime/src/model/families/index.ts';
import { fixtures } from '../packages/runtime/test/fixtures/fixtures.ts';
import { differences, readReference } from '../packages/runtime/test/fixtures/reference.ts';
import { serveApi, type ServedPages } from './pages/serve.ts';

const models = fixtures().map(({ name, folder }) => ({ name, folder, ...readReference(folder) }));

// Fixtures lie in more than one place; the pages' server takes one folder.
const together = mkdtempSync(join(tmpdir(), 'gatefold-fixtures-'));
let server: ServedPages;
test.beforeAll(async () => {
  for (const { name, folder } of models) symlinkSync(folder, join(together, name));
  server = await serveApi(together);
});
test.afterAll(async () => {
  await server.close();
  rmSync(together, { recursive: true });
});

for (const { name, prompts, tensors } of models.filter(({ arch }) => SUPPORTED_FAMILIES.includes(arch))) {
  test(`${name} in Chromium: every value and the greedy tokens agree`, async ({ page }) => {
    await page.goto(server.url);
    const model = await page.evaluateHandle((url) => window.gatefold.load(url, { contextLength: 256, store: 'none' }), `${name}/model.gguf`);
    for (const [number, { ids, greedy, robust_tokens: robust }] of prompts.entries()) {
      for (const chunk of [ids.length, 7, 1]) {
        expect(differences(await evaluate(page, model, ids, chunk), tensors, number), `prompt ${number} in passes of ${chunk}`).toEqual([]);
      }
      const generated = await page.evaluate(
        async ({ loaded, promptIds, maxTokens }) => {
          const session = await loaded.createSession();
          const found: number[] = [];
          for await (const { id } of session.generate({ promptIds, maxTokens, stopIds: [] })) found.push(id);
          await session.dispose();
          return found;
        },
        { loaded: model, promptIds: ids, maxTokens: greedy.length },
      );
      expect(generated.slice(0, robust), `greedy tokens of prompt ${number}`).toEqual(greedy.slice(0, robust));
    }
    await model.evaluate((loaded) => loaded.dispose());
  });
}

test('a lost device is told, and the model can be loaded again in the same page', async ({ page }) => {
  await page.goto(server.url);
  const outcome = await page.evaluate(async () => {
    const devices: GPUDevice[] = [];
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (descriptor) {
      const device = await requestDevice.call(this, descriptor);
      devices.push(device);
      return device;
    };
    const open = () => window.gatefold.load('olmoe-q4_0/model.gguf', { contextLength: 64, store: 'none', worker: false });
    const request = { promptIds: [1, 2, 3], maxTokens: 2, stopIds: [] };
    const model = await open();
    const session = await model.createSession();
    devices[0]?.destroy();
    await devices[0]?.lost;
    const error: unknown = await session.generate(request).next().catch((caught: unknown) => caught);
    await model.dispose();
    const again = await open();
    const first = await (await again.createSession()).generate(request).next();
    await again.dispose();
    return { name: error instanceof Error ? error.name : 'none', id: first.done ? -1 : first.value.id };
  });
  expect(outcome.name).toBe('DeviceLostError');
  expect(outcome.id).toBeGreaterThanOrEqual(0);
});

/** Numbers of all that the model computes; base64 keeps the bits and is quick to send. */
async function evaluate(page: Page, model: JSHandle<Model>, ids: readonly number[], chunk: number): Promise<EvalTensors> {
  const sent = await page.evaluate(
    async ({ loaded, given, passes }) => {
      const tensors = Object.entries(await loaded.evaluate(given, { chunk: passes }));
      return tensors.map(([key, { dtype, shape, data }]) => {
        const bytes = new Uint8Array(data.buffer);
        let text = '';
        for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
        return { key, dtype, shape, base64: btoa(text) };
      });
    },
    { loaded: model, given: ids, passes: chunk },
  );
  return Object.fromEntries(
    sent.map(({ key, dtype, shape, base64 }) => {
      const { buffer } = Uint8Array.from(Buffer.from(base64, 'base64'));
      return [key, { dtype, shape, data: dtype === 'F32' ? new Float32Array(buffer) : new Int32Array(buffer) }];
    }),
  );
}

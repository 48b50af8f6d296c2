// The demo's standard MoE writes the same greedy text in llama.cpp as in this runtime at f32.
import { readFileSync } from 'node:fs';
import { expect, test } from 'playwright/test';
import type { TrainedReference } from '../packages/runtime/test/fixtures/gatefold-stories/references.ts';
import { serveWllama, type ServedPages } from './pages/serve.ts';

const { model, prompts }: TrainedReference = JSON.parse(readFileSync('packages/runtime/test/fixtures/gatefold-stories/moe.json', 'utf8'));
const TOKENS = 64;

let server: ServedPages;
test.beforeAll(async () => {
  server = await serveWllama();
});
test.afterAll(() => server.close());

test(`${model}: ${TOKENS} greedy tokens are those of wllama`, async ({ page }) => {
  await page.goto(server.url);
  const job = { url: model, texts: prompts.map(({ text }) => text), tokens: TOKENS };
  const theirs = await page.evaluate(({ url, texts, tokens }) => window.continueBy.wllama(url, texts, tokens), job);
  const ours = await page.evaluate(({ url, texts, tokens }) => window.continueBy.gatefold(url, texts, tokens), job);
  expect(ours).toEqual(theirs);
  expect(ours.every((text) => text.length > 20)).toBe(true);
});

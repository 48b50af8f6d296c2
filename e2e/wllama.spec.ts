// The demo's standard MoE writes the same greedy text in llama.cpp as in this runtime at f32.
import { readFileSync } from 'node:fs';
import { expect, test } from 'playwright/test';
import type { TrainedReference } from '../packages/runtime/test/fixtures/gatefold-stories/references.ts';
import { serveWllama, type ServedPages } from './pages/serve.ts';

const { model, prompts }: TrainedReference = JSON.parse(readFileSync('packages/runtime/test/fixtures/gatefold-stories/moe.json', 'utf8'));
/** Where two tokens are closer than this many logits, the rounding of either runtime may choose: a text is compared up to there. */
const NEAR_TIE = 0.1;

let server: ServedPages;
test.beforeAll(async () => {
  server = await serveWllama();
});
test.afterAll(() => server.close());

test(`${model}: greedy tokens are those of wllama up to the first near tie`, async ({ page }) => {
  await page.goto(server.url);
  const texts = prompts.map(({ text, greedy_gaps: gaps }) => {
    const tie = gaps.findIndex((gap) => gap < NEAR_TIE);
    return { text, tokens: tie < 0 ? gaps.length : tie };
  });
  const theirs = await page.evaluate((job) => window.continueBy.wllama(...job), [model, texts] as const);
  const ours = await page.evaluate((job) => window.continueBy.gatefold(...job), [model, texts] as const);
  expect(ours).toEqual(theirs);
  expect(ours.every((text) => text.length > 20)).toBe(true);
});

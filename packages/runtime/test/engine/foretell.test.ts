// Predictions of the next layer's experts, and what is fetched by them, with the demo's trained model on Node's Dawn.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { trainedModels } from '../fixtures/gatefold-stories/references.ts';
import { openFile, type OpenFixture } from './open-fixture.ts';

const [{ model: NAME, prompts } = { model: '', prompts: [] }] = trainedModels();

async function generate({ model }: OpenFixture): Promise<readonly number[]> {
  const session = await model.createSession();
  try {
    return (await session.generate({ promptIds: prompts[1]?.ids ?? [], maxTokens: 24, stopIds: [] }, {})).ids;
  } finally {
    model.disposeSession(session);
  }
}

it('most of what the next layer chooses is foretold, and tokens are those without predictions', async () => {
  const path = join(import.meta.dirname, '../../../demo/models', NAME);
  const options = { contextLength: 128, prefillChunk: 32 };
  const resident = await openFile(path, options);
  const expected = await generate(resident);
  resident.model.dispose();

  const open = await openFile(path, { ...options, gpuBudget: '25%' });
  const prefetch = open.model.context.paged?.prefetch;
  if (!prefetch) throw new Error('a model in a budget is paged');
  expect(await generate(open)).toEqual(expected);
  expect(open.stray).toEqual([]);
  const { chosen, foretold, fetched, used } = prefetch.counts;
  const [{ ffn } = { ffn: { topK: 0, experts: 1 } }] = moeLayers(open.model.spec);
  open.model.dispose();
  const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)}%`;
  console.log(`${NAME}: ${percent(foretold, chosen)} of ${chosen} choices were foretold (by chance ${percent(ffn.topK, ffn.experts)}); ${used} of ${fetched} experts that were fetched ahead were used`);
  expect(foretold / chosen).toBeGreaterThan(0.4);
  expect(used / fetched).toBeGreaterThan(0.3);
});

// The demo's trained models on Node's Dawn write the greedy texts that PyTorch writes from the same files' weights.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainedModels } from '../fixtures/gatefold-stories/references.ts';
import { openFile, type OpenFixture } from './open-fixture.ts';

const END_OF_TEXT = 0;

for (const { model, prompts } of trainedModels()) {
  describe(model, () => {
    const path = join(import.meta.dirname, '../../../demo/models', model);
    let open: OpenFixture;
    beforeAll(async () => {
      open = await openFile(path, { contextLength: 128 });
    });
    afterAll(() => open?.model.dispose());

    // Every other one: a story, one that is asked for, and a greeting that ends by itself.
    it.each(prompts.filter((_, i) => i % 2 === 1))('$text', async ({ ids: promptIds, greedy, ended }) => {
      const session = await open.model.createSession();
      const { ids, finishReason } = await session.generate({ promptIds, maxTokens: 64, stopIds: [END_OF_TEXT] }, {});
      open.model.disposeSession(session);
      expect(ids).toEqual(greedy);
      expect(finishReason).toBe(ended ? 'stop' : 'length');
      expect(open.stray).toEqual([]);
    });

    it('writes the same in a budget of a quarter of its experts, and foretells most of what the next layer chooses', async () => {
      const { ids: promptIds = [], greedy = [] } = prompts[1] ?? {};
      const { model: paged, stray } = await openFile(path, { contextLength: 128, gpuBudget: '25%', hostBudget: '100%' });
      const session = await paged.createSession();
      const { ids } = await session.generate({ promptIds, maxTokens: 24, stopIds: [] }, {});
      const { chosen, foretold, fetched, used } = paged.context.paged?.prefetch?.counts ?? { chosen: 0, foretold: 0, fetched: 0, used: 0 };
      paged.dispose();
      console.log(`${model}: ${((100 * foretold) / chosen).toFixed(1)}% of ${chosen} choices were foretold; ${used} of ${fetched} experts that were fetched ahead were used`);
      expect(ids).toEqual(greedy.slice(0, 24));
      expect(stray).toEqual([]);
      expect(foretold / chosen).toBeGreaterThan(0.4);
      expect(used / fetched).toBeGreaterThan(0.3);
    });
  });
}

// The demo's trained models on Node's Dawn write the greedy texts that PyTorch writes from the same files' weights.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainedModels } from '../fixtures/gatefold-stories/references.ts';
import { openFile, type OpenFixture } from './open-fixture.ts';

const END_OF_TEXT = 0;

for (const { model, prompts } of trainedModels()) {
  describe(model, () => {
    let open: OpenFixture;
    beforeAll(async () => {
      open = await openFile(join(import.meta.dirname, '../../../demo/models', model), { contextLength: 128 });
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
  });
}

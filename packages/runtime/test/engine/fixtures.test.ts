// Whole models on Node's Dawn, compared with what Hugging Face transformers computes from the same files, and with
// themselves in GPU budgets: in one file, since both run the same kernels, which take long to compile.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { differences, readReference } from '../fixtures/reference.ts';
import { describeBudgets } from './budget-cases.ts';
import { CONTEXT, openFixture, type OpenFixture } from './open-fixture.ts';

for (const fixture of fixtures()) {
  const { name, folder } = fixture;
  const { arch, prompts, tensors } = readReference(folder);
  if (!SUPPORTED_FAMILIES.includes(arch)) continue;

  describe(`fixture ${name}`, () => {
    let open: OpenFixture;
    beforeAll(async () => {
      open = await openFixture(folder, { contextLength: CONTEXT });
    });
    afterAll(() => open?.model.dispose());

    for (const [number, prompt] of prompts.entries()) {
      for (const chunk of [prompt.ids.length, 7, 1]) {
        it(`prompt ${number} in passes of ${chunk}: every value agrees`, async () => {
          const computed = await open.model.evaluate(prompt.ids, { chunk });
          expect(differences(computed, tensors, number)).toEqual([]);
          expect(open.stray).toEqual([]);
        });
      }

      it(`prompt ${number}: greedy tokens agree`, async () => {
        const session = await open.model.createSession();
        const { ids } = await session.generate({ promptIds: prompt.ids, maxTokens: prompt.greedy.length, stopIds: [] }, {});
        open.model.disposeSession(session);
        expect(ids.slice(0, prompt.robust_tokens)).toEqual(prompt.greedy.slice(0, prompt.robust_tokens));
        expect(ids.length).toBe(prompt.greedy.length);
        expect(open.stray).toEqual([]);
      });
    }

    describeBudgets(fixture, () => open);
  });
}

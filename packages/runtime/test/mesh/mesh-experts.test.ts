// Rooms of several tabs on one Dawn device, over links in memory: the tokens of a tab that has the model for itself.
import { describe, expect, it } from 'vitest';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { framesOfToken } from '../../src/mesh/split.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';
import { openRoom } from './room.ts';

/** Every size for every fixture that there is; else one size for each of the repository's. */
const isThorough = process.env['GATEFOLD_THOROUGH'] === '1';
const SIZES = [2, 3, 5];

const models = fixtures().flatMap(({ name, folder, inRepository }) => {
  const { arch, prompts, tensors } = readReference(folder);
  const hasExperts = [...tensors.keys()].some((tensor) => tensor.includes('.moe.'));
  return SUPPORTED_FAMILIES.includes(arch) && hasExperts && (isThorough || inRepository) ? [{ name, folder, prompts }] : [];
});

for (const [i, { name, folder, prompts }] of models.entries()) {
  const sizes = isThorough ? SIZES : [SIZES[i % SIZES.length] ?? 3];
  describe(`fixture ${name}`, () => {
    it.each(sizes)('in a room of %i: the tokens are those of the reference, the frames those of the plan', async (tabs) => {
      const room = await openRoom(folder, { tabs });
      const { plan } = room.home.mesh.experts.exchange;
      if (!plan) throw new Error('the room has no plan');
      try {
        for (const tab of [room.home, ...room.helpers]) {
          for (const { index, ffn } of moeLayers(tab.model.spec)) expect(tab.model.weights.experts(index).slotCount).toBeLessThan(ffn.experts);
        }
        for (const { ids, greedy, robust_tokens } of isThorough ? prompts : prompts.slice(0, 1)) {
          const session = await room.home.model.createSession();
          let frames = 0;
          const first = ids.length;
          const onToken = ({ position, experts }: { readonly position: number; readonly experts: readonly (readonly number[])[] }) => {
            if (position > first) frames += framesOfToken(plan, experts);
          };
          const outcome = await room.home.mesh.generate(session, { promptIds: ids, maxTokens: robust_tokens, stopIds: [] }, { onToken });
          room.home.model.disposeSession(session);
          expect(outcome.ids).toEqual(greedy.slice(0, robust_tokens));
          expect(outcome.mesh.decodeMessages).toBe(2 * frames);
          expect(outcome.mesh).toMatchObject({ resends: 0, failovers: 0, bans: [], revisions: 0 });
        }
        expect(room.stray).toEqual([]);
      } finally {
        room.dispose();
      }
    });
  });
}

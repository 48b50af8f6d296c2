// Sessions of models with recurrent state, which unlike a KV cache can't be cut back to a prefix.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRecurrent } from '../../src/engine/mixers/state.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { openFixture, type OpenFixture } from './open-fixture.ts';

it('are those whose state does not grow', () => {
  expect(isRecurrent({ kind: 'short-conv', kernel: 3 })).toBe(true);
  expect(isRecurrent({ kind: 'delta-net', keyHeads: 2, valueHeads: 4, keyDim: 8, valueDim: 8, kernel: 4, valueOrder: 'tiled', normEps: 1e-6 })).toBe(true);
});

const PROMPT = [17, 300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];

for (const { name, folder } of fixtures().filter((fixture) => ['lfm2moe-q4_0', 'qwen3next-q5_0'].includes(fixture.name))) {
  describe(`sessions of ${name}`, () => {
    let open: OpenFixture;
    beforeAll(async () => {
      open = await openFixture(folder, { contextLength: 96, prefillChunk: 8 });
    });
    afterAll(() => open?.model.dispose());

    async function fresh(promptIds: readonly number[], maxTokens: number): Promise<readonly number[]> {
      const session = await open.model.createSession();
      const { ids } = await session.generate({ promptIds, maxTokens, stopIds: [] }, {});
      open.model.disposeSession(session);
      return ids;
    }

    it('go on from where they are, and start over where the prompt leaves what they have read', async () => {
      const session = await open.model.createSession();
      const first = await session.generate({ promptIds: PROMPT, maxTokens: 5, stopIds: [] }, {});
      const next = [...PROMPT, ...first.ids, 11, 12];
      const second = await session.generate({ promptIds: next, maxTokens: 4, stopIds: [] }, {});
      expect(second.reusedTokens).toBe(PROMPT.length + 4);
      expect(second.ids).toEqual(await fresh(next, 4));
      const other = [...PROMPT.slice(0, 6), 400, 401];
      const third = await session.generate({ promptIds: other, maxTokens: 4, stopIds: [] }, {});
      expect(third.reusedTokens).toBe(0);
      expect(third.ids).toEqual(await fresh(other, 4));
      open.model.disposeSession(session);
    });

    it('have read a stop token, as the next turn of a chat has it', async () => {
      const ids = await fresh(PROMPT, 6);
      const stop = ids[4] ?? -1;
      const before = ids.slice(0, ids.indexOf(stop));
      const session = await open.model.createSession();
      const first = await session.generate({ promptIds: PROMPT, maxTokens: 20, stopIds: [stop] }, {});
      expect(first).toMatchObject({ finishReason: 'stop', ids: before });
      const next = [...PROMPT, ...before, stop, 21, 22];
      const second = await session.generate({ promptIds: next, maxTokens: 4, stopIds: [] }, {});
      open.model.disposeSession(session);
      expect(second.reusedTokens).toBe(next.length - 2);
      expect(second.ids).toEqual(await fresh(next, 4));
    });

    it('write the same after an abort', async () => {
      const session = await open.model.createSession();
      const stop = new AbortController();
      await session.generate({ promptIds: PROMPT, maxTokens: 40, stopIds: [] }, { onToken: () => stop.abort() }, stop.signal);
      const after = await session.generate({ promptIds: PROMPT, maxTokens: 4, stopIds: [] }, {});
      open.model.disposeSession(session);
      expect(after.reusedTokens).toBe(0);
      expect(after.ids).toEqual(await fresh(PROMPT, 4));
      expect(open.stray).toEqual([]);
    });
  });
}

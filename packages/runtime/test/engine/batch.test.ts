// Sessions that generate at the same time, on Node's Dawn: they share passes, and each writes what it would write alone.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../src/api/types.ts';
import type { GenerateOutcome, IdEvent } from '../../src/engine/session.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';
import { openFixture, type OpenFixture } from './open-fixture.ts';

const CONTEXT = 128;

interface Wish {
  readonly promptIds: readonly number[];
  readonly maxTokens: number;
  readonly stopIds?: readonly number[];
  readonly sampling?: SamplingOptions;
}

interface Answer extends GenerateOutcome {
  readonly events: readonly IdEvent[];
}

/** @param onToken what happens at the session's tokens, counted from 1 */
async function answer({ model }: OpenFixture, wish: Wish, onToken: (count: number) => void = () => {}, signal?: AbortSignal): Promise<Answer> {
  const session = await model.createSession();
  const events: IdEvent[] = [];
  try {
    const outcome = await session.generate(
      { stopIds: [], ...wish },
      {
        onToken: (event) => {
          events.push(event);
          onToken(events.length);
        },
      },
      signal,
    );
    return { ...outcome, events };
  } finally {
    model.disposeSession(session);
  }
}

const isShared = ({ counts }: Answer) => counts.submits < counts.tokens;

/** Until what shared passes need is compiled, which sessions don't wait for. */
async function warmUp(open: OpenFixture): Promise<void> {
  const wish = { promptIds: [1, 2, 3], maxTokens: 12 };
  for (;;) {
    const both = await Promise.all([answer(open, wish), answer(open, wish)]);
    if (both.every(isShared)) return;
  }
}

/** Which differ in norms, attention, and what runs beside the routed experts. */
const DIFFERENT = new Set(['olmoe-q4_0', 'prmoe-deepspeed', 'gptoss-mxfp4', 'gemma4-q4_0-tied']);

for (const { name, folder } of fixtures().filter((fixture) => DIFFERENT.has(fixture.name))) {
  describe(`sessions of ${name} at the same time`, () => {
    const { prompts } = readReference(folder);
    let open: OpenFixture;
    beforeAll(async () => {
      open = await openFixture(folder, { contextLength: CONTEXT });
      await warmUp(open);
    });
    afterAll(() => open?.model.dispose());

    it('write what they write alone, with joins and leaves at any token', async () => {
      const wishes = Array.from({ length: 8 }, (_, n) => {
        const { ids, robust_tokens: robust } = prompts[n % prompts.length] ?? { ids: [], robust_tokens: 0 };
        return { promptIds: ids, maxTokens: Math.max(3, Math.min(robust, 16) - n) };
      });
      const alone: Answer[] = [];
      for (const wish of wishes) alone.push(await answer(open, wish));
      // The first ones start at once; each further one starts at some token of the one before it.
      const running: Promise<Answer>[] = [];
      const start = (n: number) => {
        const wish = wishes[n];
        if (!wish) return;
        running[n] = answer(open, wish, (count) => {
          if (n >= 3 && count === 1) start(n + 1);
        });
      };
      for (let n = 0; n < 4; n++) start(n);
      const together: Answer[] = [];
      for (let n = 0; n < wishes.length; n++) together.push(await (running[n] ?? Promise.reject(new Error(`session ${n} was not started`))));
      expect(together.some(isShared)).toBe(true);
      for (const [n, { ids, events }] of together.entries()) {
        expect(ids).toEqual(alone[n]?.ids);
        for (const [at, { logprob, experts, position }] of events.entries()) {
          const other = alone[n]?.events[at];
          expect(logprob).toBeCloseTo(other?.logprob ?? NaN, 3);
          expect(position).toBe(other?.position);
          expect(experts).toEqual(other?.experts);
        }
      }
    });

    it('caused no GPU error', () => {
      expect(open.stray).toEqual([]);
    });
  });
}

describe('sessions at the same time', () => {
  const PROMPT = [17, 300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];
  let open: OpenFixture;
  beforeAll(async () => {
    open = await openFixture(join(import.meta.dirname, '../fixtures/olmoe-q4_0'), { contextLength: CONTEXT });
    await warmUp(open);
  });
  afterAll(() => open?.model.dispose());

  it('take one submit and one read-back for all of them', async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => answer(open, { promptIds: PROMPT, maxTokens: 24 })));
    const sum = (of: (counts: GenerateOutcome['counts']) => number) => answers.reduce((total, { counts }) => total + of(counts), 0);
    expect(sum(({ tokens }) => tokens)).toBe(4 * 23);
    expect(sum(({ submits }) => submits)).toBeLessThan(2 * 23);
    expect(sum(({ readbacks }) => readbacks)).toBe(sum(({ submits }) => submits));
  });

  it('go on undisturbed when one is aborted', async () => {
    const wish = { promptIds: PROMPT, maxTokens: 20 };
    const alone = await answer(open, wish);
    const stop = new AbortController();
    const [first, aborted, last] = await Promise.all([answer(open, wish), answer(open, wish, (count) => count === 5 && stop.abort(), stop.signal), answer(open, wish)]);
    expect(aborted?.finishReason).toBe('aborted');
    expect(aborted?.ids).toEqual(alone.ids.slice(0, 5));
    expect(first?.ids).toEqual(alone.ids);
    expect(last?.ids).toEqual(alone.ids);
  });

  it('draw by their own settings and seeds, and stop by their own stop ids', async () => {
    const wishes: Wish[] = [
      { promptIds: PROMPT, maxTokens: 16, sampling: { temperature: 0.8, topK: 40, topP: 0.9, repeatPenalty: 1.2, seed: 5 } },
      { promptIds: PROMPT.toReversed(), maxTokens: 16, sampling: { temperature: 0.8, seed: 6 } },
      { promptIds: PROMPT, maxTokens: 16 },
    ];
    const alone: Answer[] = [];
    for (const wish of wishes) alone.push(await answer(open, wish));
    const stopAt = alone[2]?.ids[6] ?? -1;
    const [first, second, third] = await Promise.all(wishes.map((wish, n) => answer(open, n === 2 ? { ...wish, stopIds: [stopAt] } : wish)));
    expect(first?.ids).toEqual(alone[0]?.ids);
    expect(second?.ids).toEqual(alone[1]?.ids);
    expect(third?.finishReason).toBe('stop');
    expect(third?.ids).toEqual(alone[2]?.ids.slice(0, alone[2].ids.indexOf(stopAt)));
  });

  it('more than a batch holds take turns with it', async () => {
    const wish = { promptIds: PROMPT, maxTokens: 8 };
    const alone = await answer(open, wish);
    const answers = await Promise.all(Array.from({ length: 10 }, () => answer(open, wish)));
    for (const { ids } of answers) expect(ids).toEqual(alone.ids);
  });

  it('go on with the next turn of their chats', async () => {
    const sessions = [await open.model.createSession(), await open.model.createSession()];
    const first = await Promise.all(sessions.map((session) => session.generate({ promptIds: PROMPT, maxTokens: 12, stopIds: [] }, {})));
    const next = [...PROMPT, ...(first[0]?.ids ?? []), 11, 12];
    const second = await Promise.all(sessions.map((session) => session.generate({ promptIds: next, maxTokens: 6, stopIds: [] }, {})));
    for (const session of sessions) open.model.disposeSession(session);
    const alone = await answer(open, { promptIds: next, maxTokens: 6 });
    for (const { ids, reusedTokens } of second) {
      expect(reusedTokens).toBe(PROMPT.length + 11);
      expect(ids).toEqual(alone.ids);
    }
  });

  it('caused no GPU error', () => {
    expect(open.stray).toEqual([]);
  });
});

// When the frames of conversations that decode at the same time leave, and with whom.
import { expect, test } from 'vitest';
import { AnswerLedger } from '../../src/mesh/answer-ledger.ts';
import { Convoy } from '../../src/mesh/convoy.ts';
import type { ExpertWork } from '../../src/mesh/expert-work.ts';

/** Conversations whose peers answer when the test says so, each with its number times ten. */
class Road {
  readonly frames: { readonly layer: number; readonly who: readonly number[]; readonly arrive: () => void }[] = [];
  readonly #answers: readonly AnswerLedger[];
  readonly convoy = new Convoy(
    ({ layer, x }) =>
      new Promise((resolve) => {
        this.frames.push({ layer, who: [...x], arrive: () => resolve(x.map((value) => value * 10)) });
      }),
  );

  constructor(conversations: number) {
    this.#answers = Array.from({ length: conversations }, () => new AnswerLedger());
  }

  /** All have been in a step once, so that each is known to the others, and are at home. */
  static async of(conversations: number): Promise<Road> {
    const road = new Road(conversations);
    const steps = Array.from({ length: conversations }, (_, who) => road.step(who, 0));
    for (const { arrive } of road.frames.splice(0)) arrive();
    await Promise.all(steps);
    return road;
  }

  async step(who: number, layer: number): Promise<void> {
    const work: ExpertWork = { layer, tokens: 1, counts: Uint8Array.of(1), experts: Uint16Array.of(0), weights: Float32Array.of(1), x: Float32Array.of(who) };
    expect([...(await this.convoy.step(work, { answer: this.#answer(who), position: 0, isDecode: true }))]).toEqual([who * 10]);
  }

  leave(who: number): void {
    this.convoy.leave(this.#answer(who));
  }

  #answer(who: number): AnswerLedger {
    const answer = this.#answers[who];
    if (!answer) throw new RangeError(`no conversation ${who}`);
    return answer;
  }
}

test('up to four conversations go together', async () => {
  const road = await Road.of(4);
  const steps = [0, 1, 2].map((who) => road.step(who, 1));
  expect(road.frames).toEqual([]);
  steps.push(road.step(3, 1));
  expect(road.frames).toMatchObject([{ layer: 1, who: [0, 1, 2, 3] }]);
  road.frames[0]?.arrive();
  await Promise.all(steps);
});

test('of eight, one half computes while the other is under way', async () => {
  const road = await Road.of(8);
  const steps = [0, 1, 2, 3].map((who) => road.step(who, 1));
  expect(road.frames).toMatchObject([{ layer: 1, who: [0, 1, 2, 3] }]);
  steps.push(...[4, 5, 6].map((who) => road.step(who, 1)));
  expect(road.frames).toHaveLength(1);
  steps.push(road.step(7, 1));
  expect(road.frames).toMatchObject([{}, { layer: 1, who: [4, 5, 6, 7] }]);
  for (const { arrive } of road.frames) arrive();
  await Promise.all(steps);
});

test('where nobody computes at home, those at the deepest layer go, and the others wait for them to come again', async () => {
  const road = await Road.of(3);
  const first = road.step(0, 0);
  const others = [road.step(1, 1), road.step(2, 1)];
  expect(road.frames).toMatchObject([{ layer: 1, who: [1, 2] }]);
  road.frames[0]?.arrive();
  await Promise.all(others);
  const again = road.step(1, 0);
  expect(road.frames).toHaveLength(1);
  // Who has ended is not waited for.
  road.leave(2);
  expect(road.frames).toMatchObject([{}, { layer: 0, who: [0, 1] }]);
  road.frames[1]?.arrive();
  await Promise.all([first, again]);
});

test('a step that fails fails for all that share it, and holds up nobody else', async () => {
  const convoy = new Convoy(() => Promise.reject(new RangeError('no')));
  const work: ExpertWork = { layer: 0, tokens: 1, counts: Uint8Array.of(1), experts: Uint16Array.of(0), weights: Float32Array.of(1), x: Float32Array.of(1) };
  const answer = new AnswerLedger();
  await expect(convoy.step(work, { answer, position: 0, isDecode: true })).rejects.toThrow(RangeError);
  await expect(convoy.step(work, { answer, position: 0, isDecode: true })).rejects.toThrow(RangeError);
});

import { expect, test } from 'vitest';
import { EventBatcher } from '../../src/port/event-batcher.ts';

/** A receiver that is done when told, and pauses that end when told. */
function slow() {
  const batches: (readonly number[])[] = [];
  const acknowledge: (() => void)[] = [];
  const endPause: (() => void)[] = [];
  const batcher = new EventBatcher<number>(
    (events) => {
      batches.push(events);
      return new Promise<void>((done) => acknowledge.push(done));
    },
    () => new Promise((done) => endPause.push(done)),
  );
  return { batches, batcher, acknowledge, endPause };
}

const turn = () => new Promise((done) => setTimeout(done));

test('the first event goes at once, later ones gather until the receiver and the pause are over', async () => {
  const { batches, batcher, acknowledge, endPause } = slow();
  batcher.push(1);
  expect(batches).toEqual([[1]]);
  batcher.push(2);
  acknowledge[0]?.();
  await turn();
  batcher.push(3);
  await turn();
  expect(batches).toEqual([[1]]);
  endPause[0]?.();
  await turn();
  expect(batches).toEqual([[1], [2, 3]]);
  acknowledge[1]?.();
  await turn();
  endPause[1]?.();
  await turn();
  batcher.push(4);
  expect(batches).toEqual([[1], [2, 3], [4]]);
});

test('a thousand events at once are two messages', async () => {
  const batches: number[] = [];
  const batcher = new EventBatcher<number>(async (events) => void batches.push(events.length));
  for (let i = 0; i < 1000; i++) batcher.push(i);
  await batcher.flush();
  expect(batches).toEqual([1, 999]);
});

test('flush waits for receivers, but for no pause', async () => {
  const { batches, batcher, acknowledge, endPause } = slow();
  batcher.push(1);
  batcher.push(2);
  acknowledge[0]?.();
  await turn();
  expect(endPause).toHaveLength(1);
  let flushed = false;
  const flush = batcher.flush().then(() => (flushed = true));
  await turn();
  expect(batches).toEqual([[1], [2]]);
  expect(flushed).toBe(false);
  acknowledge[1]?.();
  await flush;
  expect(endPause).toHaveLength(1);
});

test('a receiver in the same thread gets every event by itself, at once', async () => {
  const batches: (readonly number[])[] = [];
  const batcher = new EventBatcher<number>((events) => void batches.push(events));
  for (const event of [1, 2, 3]) batcher.push(event);
  expect(batches).toEqual([[1], [2], [3]]);
  await batcher.flush();
});

test('flush throws what the receiver threw, who gets nothing more', async () => {
  let calls = 0;
  const batcher = new EventBatcher<number>(async () => {
    calls++;
    throw new Error('no more');
  });
  batcher.push(1);
  batcher.push(2);
  await expect(batcher.flush()).rejects.toThrow('no more');
  batcher.push(3);
  await expect(batcher.flush()).rejects.toThrow('no more');
  expect(calls).toBe(1);
});

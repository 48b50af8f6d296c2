import { expect, test } from 'vitest';
import { coalesce } from '../../src/shards/coalesce.ts';
import type { Shard } from '../../src/shards/shard.ts';

const MiB = 2 ** 20;

/** A shard of ranges [file, offset, length]. */
function shard(...ranges: readonly [file: number, offset: number, length: number][]): Shard {
  return {
    id: JSON.stringify(ranges),
    kind: 'expert',
    ranges: ranges.map(([file, offset, length]) => ({ file, offset, length, tensor: '', firstRow: 0, rows: 1 })),
    byteLength: ranges.reduce((sum, [, , length]) => sum + length, 0),
  };
}

const spans = (shards: readonly Shard[]) => coalesce(shards).map(({ file, offset, length }) => [file, offset, length]);

test('neighbouring experts are one request for each of their tensors', () => {
  const experts = [0, 1, 2].map((expert) => shard([0, expert * 100, 100], [0, 50_000 + expert * 70, 70]));
  expect(coalesce(experts)).toEqual([
    { file: 0, offset: 0, length: 300, parts: [0, 1, 2].map((i) => ({ shard: i, inShard: 0, inSpan: i * 100, length: 100 })) },
    { file: 0, offset: 50_000, length: 210, parts: [0, 1, 2].map((i) => ({ shard: i, inShard: 100, inSpan: i * 70, length: 70 })) },
  ]);
});

test('small gaps are read over, large ones are not', () => {
  expect(spans([shard([0, 0, 10]), shard([0, 10 + 1024, 10])])).toEqual([[0, 0, 1044]]);
  expect(spans([shard([0, 0, 10]), shard([0, 10 + 1025, 10])])).toEqual([
    [0, 0, 10],
    [0, 1035, 10],
  ]);
});

test('ranges in any order, and of several files', () => {
  expect(spans([shard([1, 100, 50], [0, 200, 10]), shard([0, 100, 100], [1, 150, 1])])).toEqual([
    [0, 100, 110],
    [1, 100, 51],
  ]);
});

test('requests end at 16 MiB, but a range is never cut', () => {
  expect(spans([shard([0, 0, 10 * MiB]), shard([0, 10 * MiB, 6 * MiB]), shard([0, 16 * MiB, 1])])).toEqual([
    [0, 0, 16 * MiB],
    [0, 16 * MiB, 1],
  ]);
  expect(spans([shard([0, 0, 40 * MiB])])).toEqual([[0, 0, 40 * MiB]]);
});

test('nothing is no request', () => {
  expect(coalesce([])).toEqual([]);
});

import { expect, test } from 'vitest';
import type { ProgressEvent } from '../../src/api/types.ts';
import type { Shard } from '../../src/shards/shard.ts';
import { LoadProgress } from '../../src/worker/load-progress.ts';

const shard = (byteLength: number): Shard => ({ id: 's', kind: 'trunk', ranges: [], byteLength });
const fetched = (bytes: number, shards: number): ProgressEvent => ({ phase: 'fetch', bytes, bytesTotal: 10, shards, shardsTotal: 2, bytesFromStore: 4 });

test('phases come in order: uploads are told once all is fetched, and their last is the whole', () => {
  const events: ProgressEvent[] = [];
  const progress = new LoadProgress((event) => events.push(event));
  progress.onFetch({ phase: 'header', bytes: 5, bytesTotal: 5, shards: 0, shardsTotal: 0, bytesFromStore: 0 });
  progress.onFetch(fetched(4, 1));
  progress.addUploaded(shard(4));
  progress.onFetch(fetched(10, 2));
  progress.addUploaded(shard(6));
  progress.onFetch(fetched(10, 2));
  progress.enter('compile');
  progress.enter('ready');
  expect(events.map(({ phase, bytes, shards, bytesFromStore }) => [phase, bytes, shards, bytesFromStore])).toEqual([
    ['header', 5, 0, 0],
    ['fetch', 4, 1, 4],
    ['fetch', 10, 2, 4],
    ['upload', 10, 2, 4],
    ['compile', 10, 2, 4],
    ['ready', 10, 2, 4],
  ]);
});

test('nobody need listen', () => {
  const progress = new LoadProgress(undefined);
  progress.onFetch(fetched(10, 2));
  progress.enter('ready');
});

test('uploads of less than a percent are told together', () => {
  const events: ProgressEvent[] = [];
  const progress = new LoadProgress((event) => events.push(event));
  progress.onFetch({ ...fetched(1000, 1000), bytesTotal: 1000, shardsTotal: 1000 });
  for (let i = 0; i < 1000; i++) progress.addUploaded(shard(1));
  expect(events.length).toBeLessThan(103);
  expect(events.at(-1)).toMatchObject({ phase: 'upload', bytes: 1000, shards: 1000 });
});

import { expect, test } from 'vitest';
import type { DownloadEvent } from '../../src/api/types.ts';
import type { LoadedModel } from '../../src/engine/loaded-model.ts';
import type { Shard, ShardReader } from '../../src/shards/shard.ts';
import { download } from '../../src/worker/download.ts';
import { WarmUp } from '../../src/worker/warm-up.ts';

const shards = Array.from({ length: 6 }, (_, expert): Shard => ({ id: `layer.0.expert.${expert}`, kind: 'expert', layer: 0, expert, ranges: [], byteLength: 10 }));

/** A reader that keeps what it reads, and stops when it is told to. */
function reader(stored: Set<string>, isKeeping = true): ShardReader & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    plan: { modelId: 'm', shards },
    stats: { bytesFetched: 0, shardsFetched: 0, bytesFromStore: 0, shardsFromStore: 0, bytesFromPeers: 0 },
    isKeeping,
    isStored: ({ id }) => stored.has(id),
    flush: async () => {},
    read: async ({ byteLength }) => new Uint8Array(byteLength),
    readAll: async (wanted, onShard, { signal } = {}) => {
      for (const shard of wanted) {
        signal?.throwIfAborted();
        asked.push(shard.id);
        if (isKeeping) stored.add(shard.id);
        await onShard(shard, new Uint8Array(shard.byteLength));
      }
    },
  };
}

/** A model with free slots for some experts. */
function modelWith(slots: number): LoadedModel & { readonly filled: Set<string> } {
  const filled = new Set<string>();
  return { filled, hasRoomFor: ({ id }: Shard) => filled.size < slots && !filled.has(id), fill: async ({ id }: Shard) => void filled.add(id) } as unknown as LoadedModel & { filled: Set<string> };
}

test('brings what is missing, the busiest first, and tells how far it is', async () => {
  const events: DownloadEvent[] = [];
  const source = reader(new Set(['layer.0.expert.1']));
  const uses = new Map([
    ['layer.0.expert.4', 9],
    ['layer.0.expert.2', 3],
  ]);
  await download({ model: modelWith(0), reader: source, uses, signal: new AbortController().signal, onEvent: (event) => events.push(event) });
  expect(source.asked).toEqual([4, 2, 0, 3, 5].map((expert) => `layer.0.expert.${expert}`));
  expect(events[0]).toMatchObject({ bytes: 10, bytesTotal: 60, shards: 1, shardsTotal: 6 });
  expect(events.at(-1)).toMatchObject({ bytes: 60, shards: 6 });
});

test('stops at the signal and goes on from there', async () => {
  const stored = new Set<string>();
  const stop = new AbortController();
  const source = reader(stored);
  const model = modelWith(0);
  const stopping = { ...model, fill: async () => stored.size === 3 && stop.abort(new Error('enough')) } as unknown as LoadedModel;
  const options = { reader: source, uses: new Map<string, number>(), onEvent: () => {} };
  await expect(download({ ...options, model: stopping, signal: stop.signal })).rejects.toThrow('enough');
  await download({ ...options, model, signal: new AbortController().signal });
  expect(source.asked).toEqual(shards.map(({ id }) => id));
});

test('without a store fills the slots that are free', async () => {
  const model = modelWith(6);
  await download({ model, reader: reader(new Set(), false), uses: new Map(), signal: new AbortController().signal, onEvent: () => {} });
  expect(model.filled.size).toBe(6);
});

test('warm-up runs between answers, until all is there', async () => {
  const log: string[] = [];
  let finish = () => {};
  const warmUp = new WarmUp(
    (signal) =>
      new Promise((resolve, reject) => {
        log.push('start');
        finish = resolve;
        signal.addEventListener('abort', () => {
          log.push('stop');
          reject(signal.reason);
        });
      }),
    () => {},
  );
  const answer = () => {
    warmUp.pause();
    warmUp.resume();
  };
  answer();
  warmUp.pause();
  warmUp.pause();
  warmUp.resume();
  expect(log).toEqual(['start', 'stop']);
  warmUp.resume();
  expect(log).toEqual(['start', 'stop', 'start']);
  finish();
  await Promise.resolve();
  answer();
  expect(log.length).toBeLessThanOrEqual(4);
  await new Promise((turn) => setTimeout(turn));
  log.length = 0;
  answer();
  expect(log).toEqual([]);
});

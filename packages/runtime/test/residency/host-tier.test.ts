import { expect, it } from 'vitest';
import { HostTier } from '../../src/residency/host-tier.ts';
import type { Shard, ShardReader } from '../../src/shards/shard.ts';

function shardOf(id: string, byteLength = 10): Shard {
  return { id, kind: 'expert', ranges: [], byteLength };
}

/** A reader that notes what it is asked for. */
function reader(): ShardReader & { readonly asked: string[] } {
  const asked: string[] = [];
  const read = async (shard: Shard) => {
    asked.push(shard.id);
    return new Uint8Array(shard.byteLength).fill(shard.id.charCodeAt(0));
  };
  return {
    asked,
    plan: { modelId: 'm', shards: [] },
    stats: { bytesFetched: 0, shardsFetched: 0, bytesFromStore: 0, shardsFromStore: 0, bytesFromPeers: 0 },
    isStored: () => false,
    isKeeping: false,
    flush: async () => {},
    read,
    readAll: async (shards, onShard) => {
      for (const shard of shards) await onShard(shard, await read(shard));
    },
  };
}

it('keeps what was asked for last, within its budget', async () => {
  const inner = reader();
  const host = new HostTier(inner, 25);
  const [a, b, c] = ['a', 'b', 'c'].map((id) => shardOf(id));
  if (!a || !b || !c) throw new Error('three shards');
  const read: string[] = [];
  const readAll = (shards: readonly Shard[]) => host.readAll(shards, ({ id }, bytes) => void read.push(`${id}${bytes[0]}`));
  await readAll([a, b]);
  expect(host.bytes).toBe(20);
  await readAll([a]);
  await readAll([c, a]);
  // b was the oldest.
  expect(host.has(b)).toBe(false);
  await host.read(b);
  expect(inner.asked).toEqual(['a', 'b', 'c', 'b']);
  expect(read).toEqual(['a97', 'b98', 'a97', 'a97', 'c99']);
  expect(host.bytes).toBe(20);
  expect(host.hits).toBe(2);
});

it('does not keep what is larger than all of it', async () => {
  const inner = reader();
  const host = new HostTier(inner, 5);
  await host.read(shardOf('a'));
  await host.read(shardOf('a'));
  expect(inner.asked).toEqual(['a', 'a']);
  expect(host.bytes).toBe(0);
});

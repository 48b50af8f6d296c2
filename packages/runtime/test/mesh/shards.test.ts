// Shards from peers: of a model whose hashes are known, on a server that counts what it sends.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { decodeShardFrame, encodeShardFrame, MAX_PART_BYTES, type ShardFrame } from '../../src/mesh/shards/frames.ts';
import { ShardExchange } from '../../src/mesh/shards/shard-exchange.ts';
import { sha256 } from '../../src/shards/hash.ts';
import type { OpenedModel } from '../../src/shards/open-model.ts';
import type { Shard } from '../../src/shards/shard.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';
import { loadAll, MODEL, ModelOnServer } from '../shards/model-on-server.ts';
import { MemoryLink } from './memory-link.ts';
import { Events, PATIENT, Rooms, runRelay } from './rooms.ts';

let server: ModelOnServer;
beforeEach(async () => {
  server = await ModelOnServer.start();
});
afterEach(() => server.server.stop());

type Bytes = Uint8Array<ArrayBuffer>;

function bytesOf({ ranges }: Shard): Bytes {
  return new Uint8Array(Buffer.concat(ranges.map(({ offset, length }) => MODEL.subarray(offset, offset + length))));
}

async function openWithManifest(): Promise<OpenedModel> {
  const { loader } = await server.open({}, NO_STORE);
  const manifest = Object.fromEntries(await Promise.all(loader.plan.shards.map(async (shard) => [shard.id, await sha256(bytesOf(shard))] as const)));
  return server.open({ manifest }, NO_STORE);
}

/** A tab that can load, and a peer of it that gives what `give` says. */
function roomWith(model: OpenedModel, give: (shard: Shard) => Bytes | undefined) {
  const { loader } = model;
  const byId = new Map(loader.plan.shards.map((shard) => [shard.id, shard]));
  const faults: string[] = [];
  const [here, there] = MemoryLink.pair('here', 'there');
  const tab = new ShardExchange(async () => undefined, (_, reason) => faults.push(reason));
  const peer = new ShardExchange(async (id) => {
    const shard = byId.get(id);
    return shard && give(shard);
  }, (_, reason) => faults.push(reason));
  tab.add(here);
  peer.add(there);
  loader.peers = tab;
  return { loader, faults, here, there };
}

test('a model comes from a peer whole, without the server', async () => {
  const model = await openWithManifest();
  const { loader, faults } = roomWith(model, bytesOf);
  const before = server.server.ranges.length;
  const loaded = await loadAll(model);
  for (const shard of loader.plan.shards) expect(Buffer.compare(loaded.get(shard.id) ?? new Uint8Array(), bytesOf(shard))).toBe(0);
  expect(server.server.ranges.length).toBe(before);
  expect(loader.stats.bytesFromPeers).toBe(loader.plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0));
  expect(faults).toEqual([]);
});

test.each([
  ['has nothing', () => undefined, 0],
  ['lies', (shard: Shard) => bytesOf(shard).fill(7, 3, 4), 1],
  ['gives too little', (shard: Shard) => bytesOf(shard).slice(1), 0],
])('where the peer %s, shards come from the server, and are right', async (_, give, atLeast) => {
  const model = await openWithManifest();
  const { loader, faults } = roomWith(model, give);
  const loaded = await loadAll(model);
  for (const shard of loader.plan.shards) expect(Buffer.compare(loaded.get(shard.id) ?? new Uint8Array(), bytesOf(shard))).toBe(0);
  expect(faults.length).toBeGreaterThanOrEqual(atLeast);
  expect(loader.stats.bytesFromPeers).toBe(0);
});

test('a peer that is slow is not waited for, but where the server fails', async () => {
  const model = await openWithManifest();
  const { loader, there } = roomWith(model, bytesOf);
  there.conditions.delayMs = 1000;
  const [first, second] = loader.plan.shards;
  if (!first || !second) throw new Error('two shards are needed');
  expect(Buffer.compare(await loader.read(first), bytesOf(first))).toBe(0);
  expect(loader.stats).toMatchObject({ bytesFromPeers: 0, shardsFetched: 1 });
  await server.server.stop();
  expect(Buffer.compare(await loader.read(second), bytesOf(second))).toBe(0);
  expect(loader.stats.bytesFromPeers).toBe(second.byteLength);
});

test('without a known hash nobody is asked', async () => {
  const model = await server.open({}, NO_STORE);
  const { loader, here } = roomWith(model, bytesOf);
  await loadAll(model);
  expect(here.sent).toEqual([]);
  expect(loader.stats.bytesFromPeers).toBe(0);
});

test('a peer that goes away while it gives is done without', async () => {
  const model = await openWithManifest();
  const { loader, there } = roomWith(model, (shard) => {
    there.close('gone');
    return bytesOf(shard);
  });
  const [shard] = loader.plan.shards;
  if (!shard) throw new Error('no shard');
  expect(Buffer.compare(await loader.read(shard), bytesOf(shard))).toBe(0);
});

test('frames are what was encoded, and anything else is a typed error', () => {
  const frames: ShardFrame[] = [
    { kind: 'request', number: 7, shard: 'layer.3.expert.17', offset: 2 ** 31, length: MAX_PART_BYTES },
    { kind: 'part', number: 2 ** 32 - 1, bytes: new Uint8Array([1, 2, 3]) },
    { kind: 'absent', number: 0 },
  ];
  for (const frame of frames) expect(decodeShardFrame(encodeShardFrame(frame))).toEqual(frame);
  expect(() => decodeShardFrame(encodeShardFrame({ kind: 'request', number: 0, shard: 'a', offset: 0, length: MAX_PART_BYTES + 1 }))).toThrow(expect.objectContaining({ code: 'malformed-frame' }));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      try {
        decodeShardFrame(new Uint8Array(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'malformed-frame' });
      }
    }),
  );
});

test('in a room shards go over a connection of their own, both ways', async () => {
  const relay = await runRelay();
  const rooms = new Rooms(relay.url);
  const host = await rooms.host();
  const guest = await rooms.join(host.invitation);
  const [atHost, atGuest] = [new Events(host), new Events(guest)];
  await Promise.all([atHost, atGuest].map((events) => events.until(({ joined }) => joined.length === 1)));
  const shard: Shard = { id: 'layer.0.expert.1', kind: 'expert', ranges: [], byteLength: 3_000_000 };
  const bytes = Uint8Array.from({ length: shard.byteLength }, (_, i) => (i * 31) >>> 4);
  const faults: string[] = [];
  const exchanges = [atHost, atGuest].map(({ joined: [peer] }) => {
    const exchange = new ShardExchange(async (id) => (id === shard.id ? bytes : undefined), (_, reason) => faults.push(reason));
    if (peer) exchange.add(peer.bulk);
    return exchange;
  });
  const signal = new AbortController().signal;
  const got = await Promise.all(exchanges.map((exchange) => exchange.fetch(shard, async () => true, signal)));
  for (const one of got) expect(Buffer.compare(one ?? new Uint8Array(), bytes)).toBe(0);
  expect(await exchanges[0]?.fetch({ ...shard, id: 'layer.0.expert.2' }, async () => true, signal)).toBeUndefined();
  expect(faults).toEqual([]);
  guest.close();
  await vi.waitUntil(() => atHost.left.length === 1, PATIENT);
  expect(await exchanges[0]?.fetch(shard, async () => true, signal)).toBeUndefined();
  rooms.close();
  await relay.close();
});

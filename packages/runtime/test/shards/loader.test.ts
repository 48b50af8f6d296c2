import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/shards/hash.ts';
import type { OpenedModel } from '../../src/shards/open-model.ts';
import type { Shard } from '../../src/shards/shard.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { FileServer, reset, status, type Misbehaviour } from './file-server.ts';
import { freshIndexedDb } from './fresh-indexeddb.ts';
import { loadAll, MODEL, ModelOnServer } from './model-on-server.ts';

/** Has several requests under way, but never all of the model. */
const SMALL_STEPS = { batchBytes: 60_000, readAheadBytes: 300_000 };

let model: ModelOnServer;
beforeEach(async () => {
  model = await ModelOnServer.start();
});
afterEach(() => model.server.stop());

/** What a shard's bytes are, by the file. */
function bytesOf({ ranges }: Shard): Uint8Array {
  return Buffer.concat(ranges.map(({ offset, length }) => MODEL.subarray(offset, offset + length)));
}

function expectWhole({ loader: { plan } }: OpenedModel, loaded: ReadonlyMap<string, Uint8Array>): void {
  expect([...loaded.keys()]).toEqual(plan.shards.map(({ id }) => id));
  for (const shard of plan.shards) expect(Buffer.compare(loaded.get(shard.id) ?? new Uint8Array(), bytesOf(shard))).toBe(0);
}

function expert({ loader: { plan } }: OpenedModel, number: number): Shard {
  const shard = plan.shards.find(({ id }) => id === `layer.1.expert.${number}`);
  if (!shard) throw new Error('no such expert');
  return shard;
}

/** Changes one byte of a stored shard. */
async function damage(store: IndexedDbStore, { loader: { plan } }: OpenedModel, shard: Shard): Promise<void> {
  const bytes = bytesOf(shard).slice();
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  const entry = { id: plan.modelId, name: '', source: '', bytesTotal: 0, shardsTotal: 0 };
  await store.put(entry, [{ id: shard.id, bytes, sha256: await sha256(new Uint8Array(bytesOf(shard))) }]);
}

/** Answers a range with a byte changed. */
const lie: Misbehaviour = (request, response) => {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const bytes = MODEL.slice(Number(from), Number(to) + 1);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${MODEL.length}`, 'content-length': bytes.length, etag: '"v1"' }).end(bytes);
  return true;
};

/** Never answers a request; resolves with its connection. */
function hold(server: FileServer): Promise<Socket> {
  return new Promise((resolve) => {
    server.misbehaviours.push(({ socket }) => {
      resolve(socket);
      return true;
    });
  });
}

class FullStore extends IndexedDbStore {
  /** Writes that still find room. */
  room = 3;
  override put(...given: Parameters<IndexedDbStore['put']>): Promise<void> {
    return this.room-- > 0 ? super.put(...given) : Promise.reject(new DOMException('full', 'QuotaExceededError'));
  }
}

describe('a first start', () => {
  test('fetches all shards in order, verifies and stores them', async () => {
    const opened = await model.open();
    expectWhole(opened, await loadAll(opened));
    const { loader } = opened;
    const bytesTotal = loader.plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(loader.stats).toMatchObject({ shardsFetched: loader.plan.shards.length, shardsFromStore: 0, bytesFromStore: 0 });
    expect(loader.stats.bytesFetched).toBe(model.server.sent);
    expect(await new IndexedDbStore().list()).toEqual([
      { id: loader.plan.modelId, name: expect.any(String), source: model.url, bytes: bytesTotal, bytesTotal, shards: loader.plan.shards.length, shardsTotal: loader.plan.shards.length },
    ]);
    expect(model.warnings).toEqual([]);
  });

  test('joins neighbouring ranges into few requests', async () => {
    await loadAll(await model.open());
    expect(model.server.ranges.length).toBeLessThan(16);
  });

  test('tells its progress', async () => {
    const opened = await model.open();
    await loadAll(opened);
    const { plan } = opened.loader;
    const headers = model.progress.filter(({ phase }) => phase === 'header');
    const fetches = model.progress.slice(headers.length);
    expect(headers.at(-1)?.bytes).toBeGreaterThan(100_000);
    const bytesTotal = plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const shardsTotal = plan.shards.length;
    expect(fetches.at(-1)).toEqual({ phase: 'fetch', bytes: bytesTotal, bytesTotal, shards: shardsTotal, shardsTotal, bytesFromStore: 0 });
    for (const [i, event] of fetches.entries()) {
      expect(event).toMatchObject({ phase: 'fetch', bytesTotal, shardsTotal });
      expect(event.bytes).toBeGreaterThanOrEqual(fetches[i - 1]?.bytes ?? 0);
      expect(event.bytes).toBeLessThanOrEqual(bytesTotal);
      expect(event.shards).toBeGreaterThanOrEqual(fetches[i - 1]?.shards ?? 0);
    }
  });

  test('gives a slow consumer one shard at a time, and reads a bounded number of bytes ahead of it', async () => {
    const { loader } = await model.open(SMALL_STEPS);
    const header = loader.stats.bytesFetched;
    const largest = Math.max(...loader.plan.shards.map(({ byteLength }) => byteLength));
    let consumed = 0;
    let active = 0;
    await loader.loadAll(loader.plan.shards, async ({ byteLength }) => {
      expect(++active).toBe(1);
      await new Promise(setImmediate);
      consumed += byteLength;
      // One batch goes past the bound; padding between tensors comes along.
      expect(loader.stats.bytesFetched - header - consumed).toBeLessThan(SMALL_STEPS.readAheadBytes + Math.max(largest, SMALL_STEPS.batchBytes) + 1000);
      active--;
    });
  });

  test('ends with what the consumer throws, and keeps what it has', async () => {
    const opened = await model.open();
    await expect(
      opened.loader.loadAll(opened.loader.plan.shards, () => {
        throw new Error('no room on the GPU');
      }),
    ).rejects.toThrow('no room on the GPU');
    expectWhole(opened, await loadAll(opened));
  });

  test('of a server without Range reads it once, with a warning', async () => {
    model.server.supportsRange = false;
    const opened = await model.open();
    expectWhole(opened, await loadAll(opened));
    expect(model.server.sent).toBe(MODEL.length);
    expect(model.warningCodes).toEqual(['no-range']);
  });

  test('without a store hashes and keeps nothing', async () => {
    const { NO_STORE } = await import('../../src/shards/store/none.ts');
    const opened = await model.open({}, NO_STORE);
    expectWhole(opened, await loadAll(opened));
    expect(model.warnings).toEqual([]);
    expect(await new IndexedDbStore().list()).toEqual([]);
  });
});

describe('a later start', () => {
  test('reads all from the store, header included, with the server gone', async () => {
    await loadAll(await model.open());
    await model.server.stop();
    model.progress.length = 0;
    const opened = await model.open();
    expectWhole(opened, await loadAll(opened));
    const { stats, plan } = opened.loader;
    const bytesTotal = plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(stats).toEqual({ bytesFetched: 0, shardsFetched: 0, bytesFromPeers: 0, bytesFromStore: bytesTotal, shardsFromStore: plan.shards.length });
    expect(model.progress.at(-1)).toMatchObject({ phase: 'fetch', bytes: bytesTotal, bytesFromStore: bytesTotal, shards: plan.shards.length });
    expect(model.warnings).toEqual([]);
  });

  test('goes on where one was killed half-way', async () => {
    const killed = await model.open(SMALL_STEPS);
    const controller = new AbortController();
    let left = 10;
    const loading = killed.loader.loadAll(killed.loader.plan.shards, () => (--left === 0 ? controller.abort() : undefined), { signal: controller.signal });
    await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
    await killed.loader.store.flush();
    const stored = await new IndexedDbStore().records(killed.loader.plan.modelId);
    expect(stored.size).toBeGreaterThanOrEqual(10);
    expect(stored.size).toBeLessThan(killed.loader.plan.shards.length);

    const opened = await model.open();
    const { stats, plan } = opened.loader;
    expectWhole(opened, await loadAll(opened));
    expect(stats.shardsFromStore).toBe(stored.size);
    expect(stats.shardsFetched).toBe(plan.shards.length - stored.size);
    const missing = plan.shards.filter(({ id }) => !stored.has(id)).reduce((sum, { byteLength }) => sum + byteLength, 0);
    // Padding between tensors comes along.
    expect(stats.bytesFetched - missing).toBeLessThan(100);
  });

  test('fetches a damaged shard again, with a warning, and mends the store', async () => {
    const first = await model.open();
    await loadAll(first);
    await damage(new IndexedDbStore(), first, expert(first, 3));
    const opened = await model.open();
    expectWhole(opened, await loadAll(opened));
    expect(opened.loader.stats.shardsFetched).toBe(1);
    expect(model.warnings).toEqual([{ code: 'shard-damaged', message: expect.stringContaining('layer.1.expert.3 does not have its SHA-256') }]);
    const last = await model.open();
    expectWhole(last, await loadAll(last));
    expect(last.loader.stats.shardsFetched).toBe(0);
    expect(model.warnings).toHaveLength(1);
  });

  test.each([
    ['is gone', 'has 0 of', async () => undefined],
    ['is cut', 'has 7 of', async () => ({ bytes: new Uint8Array(7), sha256: '' })],
    ['cannot be read', 'cannot be read (UnknownError: I/O)', () => Promise.reject(new DOMException('I/O', 'UnknownError'))],
  ])('fetches a shard again that %s', async (_, message, get) => {
    await loadAll(await model.open());
    const store = new IndexedDbStore();
    const usual = store.get.bind(store);
    store.get = (modelId, shardId) => (shardId === 'layer.0.trunk' ? get() : usual(modelId, shardId));
    const opened = await model.open({}, store);
    expectWhole(opened, await loadAll(opened));
    expect(opened.loader.stats.shardsFetched).toBe(1);
    expect(model.warnings).toEqual([{ code: 'shard-damaged', message: expect.stringContaining(message) }]);
  });

  test('of a model that was deleted meanwhile fetches it again', async () => {
    const first = await model.open();
    await loadAll(first);
    await new IndexedDbStore().delete(first.loader.plan.modelId);
    const opened = await model.open();
    expectWhole(opened, await loadAll(opened));
    expect(opened.loader.stats.shardsFromStore).toBe(0);
  });
});

describe('hashes', () => {
  test('a shard that has another hash than at its first fetch, twice, is refused', async () => {
    const first = await model.open();
    await loadAll(first);
    const shard = expert(first, 3);
    await damage(new IndexedDbStore(), first, shard);
    const opened = await model.open();
    model.server.misbehaviours.push(lie, lie, lie, lie, lie, lie);
    const error = await opened.loader.read(shard).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ShardHashError', code: 'shard-hash', shard: shard.id, url: model.url, expected: await sha256(new Uint8Array(bytesOf(shard))), origin: 'first fetch' });
    // Nor is it taken by the next visit.
    model.server.misbehaviours.push(lie, lie, lie, lie, lie, lie);
    await expect((await model.open()).loader.read(shard)).rejects.toMatchObject({ code: 'shard-hash' });
    expect(await (await model.open()).loader.read(shard)).toEqual(new Uint8Array(bytesOf(shard)));
  });

  test('a manifest is believed more than the first fetch', async () => {
    const probe = await model.open();
    const shard = expert(probe, 0);
    const opened = await model.open({ manifest: { [shard.id]: '00'.repeat(32) } });
    await expect(opened.loader.read(shard)).rejects.toMatchObject({ code: 'shard-hash', origin: 'manifest', expected: '00'.repeat(32) });
    expect((await new IndexedDbStore().records(opened.loader.plan.modelId)).size).toBe(0);
  });

  test('a shard that is damaged on its way is fetched once more', async () => {
    const probe = await model.open();
    const shard = expert(probe, 0);
    const opened = await model.open({ manifest: { [shard.id]: await sha256(new Uint8Array(bytesOf(shard))) } });
    model.server.misbehaviours.push(lie);
    expect(await opened.loader.read(shard)).toEqual(new Uint8Array(bytesOf(shard)));
    expect(opened.loader.stats.bytesFetched).toBe(2 * shard.byteLength);
  });

  test('a shard that came damaged with the header is fetched once more, past what was kept', async () => {
    const probe = await model.open();
    const shard = probe.loader.plan.shards.find(({ ranges: [range] }) => range && range.offset + range.length <= probe.loader.stats.bytesFetched);
    const [range] = shard?.ranges ?? [];
    if (!shard || !range) throw new Error('the header brings a shard');
    const expected = MODEL.slice(range.offset, range.offset + range.length);
    const { server } = model;
    server.files.set('/model.gguf', MODEL.map((byte, at) => (at === range.offset ? byte ^ 1 : byte)));
    freshIndexedDb();
    const opened = await model.open({ manifest: { [shard.id]: await sha256(expected) } });
    server.files.set('/model.gguf', MODEL);
    const { bytesFetched } = opened.loader.stats;
    expect(await opened.loader.read(shard)).toEqual(expected);
    expect(opened.loader.stats.bytesFetched - bytesFetched).toBe(shard.byteLength);
  });
});

describe('a full disk', () => {
  test('stops storing, with one warning, and nothing else', async () => {
    const opened = await model.open(SMALL_STEPS, new FullStore());
    expectWhole(opened, await loadAll(opened));
    expect(model.warningCodes).toEqual(['quota-exceeded']);
    const stored = await new IndexedDbStore().records(opened.loader.plan.modelId);
    const next = await model.open();
    expectWhole(next, await loadAll(next));
    expect(next.loader.stats.shardsFromStore).toBe(stored.size);
  });

  test('from the start is no hindrance', async () => {
    const full = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
    const store = Object.assign(new IndexedDbStore(), { addModel: full, put: full, putHeader: full });
    const opened = await model.open({}, store);
    expectWhole(opened, await loadAll(opened));
    expect(model.warningCodes).toEqual(['quota-exceeded']);
  });

  test('and a store that fails altogether neither', async () => {
    const broken = () => Promise.reject(new DOMException('closed', 'InvalidStateError'));
    const store = Object.assign(new IndexedDbStore(), { addModel: broken, records: broken, get: broken, put: broken, getHeader: broken, putHeader: broken });
    const opened = await model.open({}, store);
    expectWhole(opened, await loadAll(opened));
    expect(model.warningCodes).toEqual(['no-store']);
  });
});

describe('several at once', () => {
  test('reads of one shard share one transfer', async () => {
    const opened = await model.open();
    const before = model.server.ranges.length;
    const shard = expert(opened, 2);
    const [a, b] = await Promise.all([opened.loader.read(shard), opened.loader.read(shard)]);
    expect(a).toBe(b);
    expect(model.server.ranges).toHaveLength(before + 3);
    // Later ones come from the store.
    await opened.loader.store.flush();
    expect(await opened.loader.read(shard)).toEqual(a);
    expect(model.server.ranges).toHaveLength(before + 3);
  });

  test('a shard that is read while all are loaded is fetched once', async () => {
    const opened = await model.open();
    const [loaded, bytes] = await Promise.all([loadAll(opened), opened.loader.read(expert(opened, 15))]);
    expectWhole(opened, loaded);
    expect(bytes).toEqual(new Uint8Array(bytesOf(expert(opened, 15))));
    expect(opened.loader.stats.shardsFetched).toBe(opened.loader.plan.shards.length);
  });

  test('one reader that leaves does not take the others along; the last one does', async () => {
    const opened = await model.open();
    const shard = expert(opened, 2);
    const requested = hold(model.server);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = opened.loader.read(shard, { signal: one.signal });
    const second = opened.loader.read(shard, { signal: two.signal });
    const connection = await requested;
    const closed = once(connection, 'close');
    one.abort(new Error('first left'));
    await expect(first).rejects.toThrow('first left');
    expect(connection.closed).toBe(false);
    two.abort(new Error('second left'));
    await expect(second).rejects.toThrow('second left');
    await closed;
    expect(await opened.loader.read(shard)).toEqual(new Uint8Array(bytesOf(shard)));
  });

  test('two loaders on one store', async () => {
    const [a, b] = await Promise.all([model.open(), model.open()]);
    expect(a.loader.plan.modelId).toBe(b.loader.plan.modelId);
    const [loadedA, loadedB] = await Promise.all([loadAll(a), loadAll(b)]);
    expectWhole(a, loadedA);
    expectWhole(b, loadedB);
    const [listed, ...others] = await new IndexedDbStore().list();
    expect(others).toEqual([]);
    expect(listed?.shards).toBe(a.loader.plan.shards.length);
    const last = await model.open();
    expectWhole(last, await loadAll(last));
    expect(last.loader.stats.bytesFetched).toBe(0);
    expect(model.warnings).toEqual([]);
  });
});

describe('an end before the end', () => {
  test('by a signal drops all requests, and nothing is fetched any more', async () => {
    const opened = await model.open({ ...SMALL_STEPS, readAheadBytes: 1_000_000, parallel: 3 });
    const { bytesFetched } = opened.loader.stats;
    const cameWithHeader = opened.loader.plan.shards.filter(({ ranges }) => ranges.every(({ offset, length }) => offset + length <= bytesFetched));
    const held = [hold(model.server), hold(model.server), hold(model.server)];
    const controller = new AbortController();
    const loading = loadAll(opened, controller.signal);
    const connections = await Promise.all(held);
    const closed = Promise.all(connections.map((connection) => once(connection, 'close')));
    controller.abort(new Error('enough'));
    await expect(loading).rejects.toThrow('enough');
    await closed;
    await opened.loader.store.flush();
    const stored = [...(await new IndexedDbStore().records(opened.loader.plan.modelId)).keys()];
    expect(cameWithHeader.map(({ id }) => id)).toEqual(expect.arrayContaining(stored));
    expectWhole(opened, await loadAll(opened));
  });

  test('by a signal that is there from the start fetches nothing', async () => {
    const opened = await model.open();
    const { length } = model.server.ranges;
    await expect(loadAll(opened, AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
    await expect(opened.loader.read(expert(opened, 0), { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    expect(model.server.ranges).toHaveLength(length);
  });

  test('of the network for a moment is bridged', async () => {
    const opened = await model.open(SMALL_STEPS);
    model.server.misbehaviours.push(reset, status(503), reset);
    expectWhole(opened, await loadAll(opened));
  });

  test('of the network for good is a typed error, and the next visit goes on', async () => {
    const opened = await model.open(SMALL_STEPS);
    let left = 5;
    const loading = opened.loader.loadAll(opened.loader.plan.shards, async () => {
      if (--left === 0) await model.server.stop();
    });
    await expect(loading).rejects.toMatchObject({ name: 'SourceError', code: 'source-network', url: model.url, fix: expect.stringContaining('what has been stored is kept') });
    await opened.loader.store.flush();
    const stored = await new IndexedDbStore().records(opened.loader.plan.modelId);

    const server = new FileServer();
    server.files.set('/elsewhere.gguf', MODEL);
    try {
      model.url = `${await server.start()}/elsewhere.gguf`;
      const next = await model.open();
      expectWhole(next, await loadAll(next));
      expect(next.loader.stats.shardsFromStore).toBe(stored.size);
    } finally {
      await server.stop();
    }
  });
});

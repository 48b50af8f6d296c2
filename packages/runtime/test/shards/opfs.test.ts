import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sha256 } from '../../src/shards/hash.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { openStore } from '../../src/shards/store/open.ts';
import type { ModelEntry } from '../../src/shards/store/store.ts';
import { fakeOpfs, type FakeFiles } from './fake-opfs.ts';
import { freshIndexedDb } from './fresh-indexeddb.ts';
import { randomBytes } from './random.ts';

const entry = (id: string): ModelEntry => ({ id, name: `model ${id}`, source: `https://host.test/${id}.gguf`, bytesTotal: 300, shardsTotal: 2 });
const shard = async (id: string, length = 100) => {
  const bytes = randomBytes(length, length);
  return { id, bytes, sha256: await sha256(bytes) };
};

let files: FakeFiles;
beforeEach(() => {
  freshIndexedDb();
  files = new Map();
  fakeOpfs(files, { isWorker: true });
});
afterEach(() => vi.unstubAllGlobals());

describe.each([
  ['a worker', true],
  ['a page', false],
])('files of the origin, in %s', (_, isWorker) => {
  beforeEach(() => fakeOpfs(files, { isWorker }));

  test('keep shards from visit to visit, and their records in IndexedDB', async () => {
    const store = await openStore('opfs');
    expect(store.kind).toBe('opfs');
    await store.put(entry('a'), [await shard('layer.0.trunk', 70), await shard('../x', 30)]);
    expect([...files.keys()]).toEqual(['gatefold/a/layer.0.trunk.shard', 'gatefold/a/..%2Fx.shard']);
    const again = await openStore('opfs');
    expect((await again.records('a')).size).toBe(2);
    expect(await again.record('a', '../x')).toEqual({ sha256: await sha256(randomBytes(30, 30)), byteLength: 30 });
    expect((await again.get('a', 'layer.0.trunk'))?.bytes).toEqual(randomBytes(70, 70));
    expect(await again.get('a', 'layer.0.expert.2')).toBeUndefined();
    expect(await again.get('b', 'layer.0.trunk')).toBeUndefined();
    expect(await again.list()).toEqual([{ ...entry('a'), bytes: 100, shards: 2 }]);
  });

  test('take the place of longer ones', async () => {
    const store = await openStore('opfs');
    await store.put(entry('a'), [await shard('x', 70)]);
    await store.put(entry('a'), [await shard('x', 30)]);
    expect((await store.get('a', 'x'))?.bytes).toEqual(randomBytes(30, 30));
  });

  test('go with their model, and no others', async () => {
    const store = await openStore('opfs');
    for (const id of ['a', 'ab']) {
      await store.put(entry(id), [await shard('x')]);
      await store.putHeader(`${id}.gguf`, { modelId: id, version: undefined, size: 5, segments: [] });
    }
    await store.delete('a');
    await store.delete('no such model');
    expect([...files.keys()]).toEqual(['gatefold/ab/x.shard']);
    expect((await store.list()).map(({ id }) => id)).toEqual(['ab']);
    expect(await store.getHeader('a.gguf')).toBeUndefined();
    expect(await store.getHeader('ab.gguf')).toMatchObject({ modelId: 'ab' });
  });

  test('a write that fails leaves no record', async () => {
    fakeOpfs(files, {
      isWorker,
      onWrite: (path) => {
        if (path.includes('y')) throw new DOMException('full', 'QuotaExceededError');
      },
    });
    const store = await openStore('opfs');
    await expect(store.put(entry('a'), [await shard('x'), await shard('y')])).rejects.toThrow('full');
    expect((await store.records('a')).size).toBe(0);
  });
});

test('what lies in IndexedDB from before is found', async () => {
  await new IndexedDbStore().put(entry('a'), [await shard('x')]);
  expect((await (await openStore()).get('a', 'x'))?.bytes).toEqual(randomBytes(100, 100));
});

test('a file that another tab has open is read all the same', async () => {
  const store = await openStore('opfs');
  await store.put(entry('a'), [await shard('x')]);
  const all = await Promise.all([store.get('a', 'x'), store.get('a', 'x'), store.get('a', 'x')]);
  for (const found of all) expect(found?.bytes).toEqual(randomBytes(100, 100));
});

test('where the origin has no files, shards lie in IndexedDB', async () => {
  vi.stubGlobal('navigator', {});
  expect((await openStore('opfs')).kind).toBe('indexeddb');
  vi.stubGlobal('navigator', { storage: { getDirectory: () => Promise.reject(new DOMException('private', 'SecurityError')) } });
  expect((await openStore('opfs')).kind).toBe('indexeddb');
});

import { IDBObjectStore } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Warning } from '../../src/api/types.ts';
import { sha256 } from '../../src/shards/hash.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { openStore } from '../../src/shards/store/open.ts';
import type { ModelEntry } from '../../src/shards/store/store.ts';
import { freshIndexedDb } from './fresh-indexeddb.ts';
import { randomBytes } from './random.ts';

const entry = (id: string): ModelEntry => ({ id, name: `model ${id}`, source: `https://host.test/${id}.gguf`, bytesTotal: 300, shardsTotal: 2 });
const shard = async (id: string, length = 100) => {
  const bytes = randomBytes(length, length);
  return { id, bytes, sha256: await sha256(bytes) };
};

let store: IndexedDbStore;
beforeEach(() => {
  freshIndexedDb();
  store = new IndexedDbStore();
});
afterEach(() => vi.restoreAllMocks());

describe('IndexedDB', () => {
  test('keeps shards from visit to visit', async () => {
    await store.put(entry('a'), [await shard('layer.0.trunk', 70), await shard('layer.0.expert.1', 30)]);
    const again = new IndexedDbStore();
    expect([...(await again.records('a'))]).toEqual([
      ['layer.0.expert.1', { sha256: await sha256(randomBytes(30, 30)), byteLength: 30 }],
      ['layer.0.trunk', { sha256: await sha256(randomBytes(70, 70)), byteLength: 70 }],
    ]);
    expect((await again.get('a', 'layer.0.trunk'))?.bytes).toEqual(randomBytes(70, 70));
    expect(await again.get('a', 'layer.0.expert.2')).toBeUndefined();
    expect(await again.get('b', 'layer.0.trunk')).toBeUndefined();
  });

  test('lists models with what is stored of each', async () => {
    expect(await store.list()).toEqual([]);
    await store.addModel(entry('a'));
    await store.put(entry('b'), [await shard('x', 70)]);
    await store.put(entry('b'), [await shard('y', 30)]);
    expect(await store.list()).toEqual([
      { ...entry('a'), bytes: 0, shards: 0 },
      { ...entry('b'), bytes: 100, shards: 2 },
    ]);
  });

  test('deletes a model with its shards and headers, and no other', async () => {
    for (const id of ['a', 'ab', 'b']) {
      await store.put(entry(id), [await shard('x'), await shard('y')]);
      await store.putHeader(`${id}.gguf`, { modelId: id, version: undefined, size: 5, segments: [] });
    }
    await store.delete('a');
    await store.delete('no such model');
    expect((await store.list()).map(({ id, shards }) => [id, shards])).toEqual([
      ['ab', 2],
      ['b', 2],
    ]);
    expect((await store.records('a')).size).toBe(0);
    expect(await store.get('a', 'x')).toBeUndefined();
    expect(await store.getHeader('a.gguf')).toBeUndefined();
    expect((await store.get('ab', 'x'))?.bytes).toEqual(randomBytes(100, 100));
    expect(await store.getHeader('ab.gguf')).toMatchObject({ modelId: 'ab' });
  });

  test('lists a model again of which something is stored after it was deleted', async () => {
    await store.addModel(entry('a'));
    await store.delete('a');
    await store.put(entry('a'), [await shard('x')]);
    expect(await store.list()).toEqual([{ ...entry('a'), bytes: 100, shards: 1 }]);
  });

  test('keeps headers', async () => {
    const segments = [{ offset: 10, bytes: randomBytes(30), sha256: 'abc' }];
    await store.putHeader('u', { modelId: 'a', version: 'etag "1"', size: 100, segments });
    expect(await new IndexedDbStore().getHeader('u')).toEqual({ modelId: 'a', version: 'etag "1"', size: 100, segments });
    await store.removeHeader('u');
    expect(await store.getHeader('u')).toBeUndefined();
  });

  test.each([
    ['bytes', false],
    ['record', true],
  ])('a write that ends before its %s leaves no record', async (kind, bytesAreThere) => {
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value: unknown, key?: IDBValidKey) {
      if (Array.isArray(key) && key[0] === kind) throw new Error('the tab was killed');
      return put.call(this, value, key);
    });
    await expect(store.put(entry('a'), [await shard('x')])).rejects.toThrow('killed');
    expect((await store.records('a')).size).toBe(0);
    expect((await store.get('a', 'x')) !== undefined).toBe(bytesAreThere);
  });
});

describe('openStore', () => {
  const warnings: Warning[] = [];
  const open = async (kind?: 'indexeddb' | 'none') => (await openStore(kind, (warning) => warnings.push(warning))).kind;
  beforeEach(() => (warnings.length = 0));

  test('takes IndexedDB where there is one', async () => {
    expect(await open()).toBe('indexeddb');
    expect(await open('none')).toBe('none');
    expect(warnings).toEqual([]);
  });

  test('warns where there is none, or where it refuses', async () => {
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw new DOMException('not in a private window', 'SecurityError');
    });
    expect(await open()).toBe('none');
    Reflect.deleteProperty(globalThis, 'indexedDB');
    expect(await open()).toBe('none');
    expect(warnings.map(({ code, message }) => [code, message.split(',')[0]])).toEqual([
      ['no-store', 'IndexedDB cannot be used (not in a private window)'],
      ['no-store', 'There is no IndexedDB here'],
    ]);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BlobSource } from '../../src/shards/sources/blob.ts';
import { openModel } from '../../src/shards/open-model.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';
import { pair, tinyModel } from '../gguf/tiny-model.ts';
import { T, writeGguf, type WrittenTensor } from '../gguf/write-gguf.ts';
import { loadAll, MODEL, ModelOnServer } from './model-on-server.ts';
import { randomBytes } from './random.ts';

/** A model in two files. */
function splitModel(): Record<string, Uint8Array<ArrayBuffer>> {
  const { pairs, tensors } = tinyModel({ arch: 'olmoe', layers: 2, experts: 3 });
  const filled = tensors.map((info, i) => ({ ...info, data: randomBytes(Number(info.data), i) }));
  const half = filled.length >> 1;
  const file = (index: number, part: readonly WrittenTensor[]) =>
    writeGguf({ pairs: [...(index === 0 ? [...pairs, pair('general.name', T.string, 'a split model')] : []), pair('split.no', T.u16, index), pair('split.count', T.u16, 2)], tensors: part }).bytes;
  return { 'm-00001-of-00002.gguf': file(0, filled.slice(0, half)), 'm-00002-of-00002.gguf': file(1, filled.slice(half)) };
}

let model: ModelOnServer;
afterEach(() => model.server.stop());

describe('the header of a URL', () => {
  beforeEach(async () => {
    model = await ModelOnServer.start();
  });

  test('is fetched once', async () => {
    const first = await model.open();
    expect(first.loader.stats.bytesFetched).toBe(model.server.sent);
    const { sent } = model.server;
    const second = await model.open();
    expect(second.gguf.metadata).toEqual(first.gguf.metadata);
    expect(second.loader.plan).toEqual(first.loader.plan);
    expect(second.loader.stats.bytesFetched).toBe(0);
    expect(model.server.sent).toBe(sent);
  });

  test.each([
    ['that tells no version', undefined],
    ['with a weak ETag', 'W/"v1"'],
  ])('of a server %s is kept too', async (_, etag) => {
    model.server.etag = etag;
    const first = await model.open();
    await loadAll(first);
    await model.server.stop();
    const second = await model.open();
    await loadAll(second);
    expect(second.loader.plan).toEqual(first.loader.plan);
  });

  test('that is damaged in the store is fetched again', async () => {
    await model.open();
    const store = new IndexedDbStore();
    const header = await store.getHeader(model.url);
    expect(header).toBeDefined();
    if (!header) return;
    for (const { bytes } of header.segments) bytes[20] = 255;
    await store.putHeader(model.url, header);
    const again = await model.open();
    expect(again.loader.stats.bytesFetched).toBeGreaterThan(0);
    expect((await model.open()).loader.stats.bytesFetched).toBe(0);
  });

  test('that has changed since is told by the first weights that are fetched; the next visit gets the new one', async () => {
    await model.open();
    model.server.etag = '"v2"';
    await expect(loadAll(await model.open())).rejects.toMatchObject({ name: 'SourceError', code: 'source-changed' });
    const next = await model.open();
    await loadAll(next);
    expect(await new IndexedDbStore().records(next.loader.plan.modelId)).toHaveProperty('size', next.loader.plan.shards.length);
    expect(await new IndexedDbStore().list()).toHaveLength(2);
  });

  test('that cannot be had is an error, and nothing is stored', async () => {
    model.server.files.clear();
    await expect(model.open()).rejects.toMatchObject({ name: 'SourceError', code: 'source-missing' });
    model.server.files.set('/model.gguf', new TextEncoder().encode('<!doctype html><title>Not a model</title>'));
    await expect(model.open()).rejects.toMatchObject({ name: 'GgufError', code: 'gguf-magic' });
    expect(await new IndexedDbStore().list()).toEqual([]);
    expect(await new IndexedDbStore().getHeader(model.url)).toBeUndefined();
  });

  test('is no longer read when the signal aborts', async () => {
    model.server.misbehaviours.push(() => true);
    const controller = new AbortController();
    const opening = model.open({ signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(opening).rejects.toThrow('enough');
  });

  test('is listed by the name that the file gives', async () => {
    const { loader } = await model.open();
    const [listed] = await new IndexedDbStore().list();
    expect(listed).toMatchObject({ id: loader.plan.modelId, source: model.url, shards: 0, shardsTotal: loader.plan.shards.length });
  });
});

describe.each([1, 2])('a split model, opened by part %i', (part) => {
  const files = splitModel();
  beforeEach(async () => {
    model = await ModelOnServer.start(files);
    model.url = model.url.replace('00001-of', `0000${part}-of`);
  });

  test('starts again without the network', async () => {
    const first = await model.open();
    const loaded = await loadAll(first);
    const { sent } = model.server;
    await model.server.stop();
    const second = await model.open();
    expect(await loadAll(second)).toEqual(loaded);
    expect(second.loader.stats.bytesFetched).toBe(0);
    expect(model.server.sent).toBe(sent);
    expect((await new IndexedDbStore().list()).map(({ name, shards }) => [name, shards])).toEqual([['a split model', first.loader.plan.shards.length]]);
  });

  test('is deleted with the headers of all its files', async () => {
    const { loader } = await model.open();
    const store = new IndexedDbStore();
    const urls = Object.keys(files).map((name) => new URL(name, model.url).href);
    for (const url of urls) expect(await store.getHeader(url)).toMatchObject({ modelId: loader.plan.modelId });
    await store.delete(loader.plan.modelId);
    for (const url of urls) expect(await store.getHeader(url)).toBeUndefined();
  });
});

test('a Blob is opened without a network or a store, and its shards are its bytes', async () => {
  model = await ModelOnServer.start();
  const opened = await openModel(new BlobSource(new Blob([MODEL])), NO_STORE);
  const loaded = await loadAll(opened);
  for (const { id, ranges } of opened.loader.plan.shards) {
    expect(Buffer.compare(loaded.get(id) ?? new Uint8Array(), Buffer.concat(ranges.map(({ offset, length }) => MODEL.subarray(offset, offset + length))))).toBe(0);
  }
  expect(model.server.ranges).toEqual([]);
});

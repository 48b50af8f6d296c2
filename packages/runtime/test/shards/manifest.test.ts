import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createManifest, verifyModel } from '../../src/shards/manifest/check-model.ts';
import { ManifestError } from '../../src/shards/manifest/errors.ts';
import { manifestName, parseManifest, type ShardManifest } from '../../src/shards/manifest/manifest.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { loadAll, MODEL, ModelOnServer } from './model-on-server.ts';

const PATH = join(import.meta.dirname, '../fixtures/olmoe-q4_0/model.gguf');
const trace = { experts: [16, 16], tokens: [[[1, 2], [3, 4]], [[1, 5], [3, 15]]] };

test('a manifest holds every shard with its hash, and how often experts are used', async () => {
  const manifest = await createManifest(new PathSource(PATH), { trace });
  expect(parseManifest(JSON.stringify(manifest), 'it')).toEqual(manifest);
  const covered = manifest.shards.flatMap(({ ranges }) => ranges).reduce((sum, [, , length]) => sum + length, 0);
  expect(covered).toBe(manifest.shards.reduce((sum, { size }) => sum + size, 0));
  const uses = Object.fromEntries(manifest.shards.map(({ id, uses: count }) => [id, count]));
  expect(uses).toMatchObject({ 'layer.0.expert.1': 2, 'layer.1.expert.15': 1, 'layer.1.expert.0': 0, 'token_embd.weight': 0 });
  expect(await verifyModel(new PathSource(PATH), manifest, 'it')).toEqual({ shards: manifest.shards.length, damaged: [] });
});

test('verifying names the shards that differ', async () => {
  const manifest = await createManifest(new PathSource(PATH));
  const [file, offset] = manifest.shards.find(({ id }) => id === 'layer.1.expert.7')?.ranges[1] ?? [];
  expect(file).toBe(0);
  const bytes = readFileSync(PATH);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 4, offset);
  const path = join(mkdtempSync(join(tmpdir(), 'gatefold-')), 'model.gguf');
  writeFileSync(path, bytes);
  expect((await verifyModel(new PathSource(path), manifest, 'it')).damaged).toEqual(['layer.1.expert.7']);
});

test.each(['', 'null', '{}', '{"format":"gatefold-manifest","version":2,"shards":[]}', '{"format":"gatefold-manifest","version":1,"shards":[{"id":"a","ranges":[[0,0,1]],"size":1,"sha256":"xyz"}]}'])(
  '%s is no manifest',
  (text) => expect(() => parseManifest(text, 'it')).toThrow(ManifestError),
);

describe('a manifest beside a URL', () => {
  let model: ModelOnServer;
  let manifest: ShardManifest;
  beforeEach(async () => {
    manifest = await createManifest(new PathSource(PATH), { trace });
    model = await ModelOnServer.start();
  });
  afterEach(() => model.server.stop());
  const serve = (value: unknown) => model.server.files.set(manifestName('/model.gguf'), new TextEncoder().encode(JSON.stringify(value)));

  test('is what shards are checked against from the first fetch on', async () => {
    serve(manifest);
    const damaged = MODEL.slice();
    const [, offset = 0] = manifest.shards.find(({ id }) => id === 'layer.0.expert.3')?.ranges[0] ?? [];
    damaged[offset + 5] = (damaged[offset + 5] ?? 0) ^ 1;
    model.server.files.set('/model.gguf', damaged);
    const opened = await model.open({ useManifest: true });
    expect(opened.uses.get('layer.0.expert.1')).toBe(2);
    await expect(loadAll(opened)).rejects.toMatchObject({ name: 'ShardHashError', origin: 'manifest', shard: 'layer.0.expert.3' });
    model.server.files.set('/model.gguf', MODEL);
    await loadAll(await model.open({ useManifest: true }));
    expect((await new IndexedDbStore().list())[0]?.shards).toBe(manifest.shards.length);
    expect(model.warningCodes).toEqual([]);
  });

  test('of another file is ignored with a warning, and a missing one without', async () => {
    await loadAll(await model.open({ useManifest: true }));
    expect(model.warningCodes).toEqual([]);
    await model.server.stop();
    model = await ModelOnServer.start();
    serve({ ...manifest, shards: manifest.shards.slice(1) });
    await loadAll(await model.open({ useManifest: true }));
    expect(model.warningCodes).toEqual(['manifest-ignored']);
    expect(model.warnings[0]?.message).toMatch(/shard token_embd\.weight is missing/);
  });
});

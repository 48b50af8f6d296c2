import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobSource } from '../../src/shards/sources/blob.ts';
import { HttpSource } from '../../src/shards/sources/http.ts';
import { openSource } from '../../src/shards/sources/open.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { randomBytes } from './random.ts';

const bytes = randomBytes(10_000);

test('openSource picks by type', () => {
  expect(openSource('https://host.test/a.gguf')).toBeInstanceOf(HttpSource);
  expect(openSource(new URL('https://host.test/a.gguf'))).toBeInstanceOf(HttpSource);
  expect(openSource(new Blob([bytes]))).toBeInstanceOf(BlobSource);
  expect(() => openSource('a.gguf')).toThrow(expect.objectContaining({ code: 'source-url' }));
  expect(() => openSource([])).toThrow(expect.objectContaining({ code: 'source-url' }));
});

test('a Blob is read at any offset', async () => {
  const source = openSource(new Blob([bytes]));
  expect(source.size).toBe(bytes.length);
  expect(await source.read(9_990, 10)).toEqual(bytes.slice(9_990));
  expect(await source.version()).toBeUndefined();
  await expect(source.read(9_991, 10)).rejects.toMatchObject({ code: 'source-truncated' });
  await expect(source.read(0, 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
});

test('Files find each other by name, and a missing one is named', async () => {
  const source = openSource([new File([bytes], 'm-00002-of-00002.gguf', { lastModified: 5 }), new File([bytes.slice(0, 5)], 'm-00001-of-00002.gguf')]);
  expect(source.name).toBe('m-00002-of-00002.gguf');
  expect(await source.version()).toBe('modified 5 size 10000');
  expect(source.sibling('m-00001-of-00002.gguf').size).toBe(5);
  expect(() => source.sibling('m-00003-of-00003.gguf')).toThrow(/m-00003-of-00003\.gguf.*Open it together/);
});

test('a path is read at any offset, by one version', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gatefold-'));
  try {
    const path = join(folder, 'a.gguf');
    await writeFile(path, bytes);
    const source = new PathSource(path);
    expect(await source.read(100, 200)).toEqual(bytes.slice(100, 300));
    expect(source.size).toBe(bytes.length);
    expect(await source.version()).toBe(await new PathSource(path).version());
    await expect(source.read(9_999, 2)).rejects.toMatchObject({ code: 'source-truncated' });
    await expect(source.sibling('b.gguf').read(0, 1)).rejects.toMatchObject({ code: 'source-missing', url: join(folder, 'b.gguf') });
    await utimes(path, 1, 1);
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: 'source-changed' });
  } finally {
    await rm(folder, { recursive: true });
  }
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { locateModel } from '../src/hosts/locate-model.ts';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatefold-'));
  path = join(folder, 'a model.gguf');
  await writeFile(path, '');
});
afterAll(() => rm(folder, { recursive: true }));

test('URLs are taken as they are', async () => {
  for (const url of ['http://host.test/a.gguf?x=1', 'https://host.test/a.gguf', 'HTTPS://host.test/a.gguf']) expect(await locateModel(url)).toBe(url);
});

test('paths become absolute, from where the command is called', async () => {
  expect(await locateModel(path)).toBe(path);
  expect(await locateModel(relative(process.cwd(), path))).toBe(path);
  expect(await locateModel(pathToFileURL(path).href)).toBe(path);
});

test('what is no file is told by its path', async () => {
  await expect(locateModel(join(folder, 'b.gguf'))).rejects.toMatchObject({ name: 'JobError', code: 'source-missing', message: expect.stringContaining(join(folder, 'b.gguf')) });
  await expect(locateModel(folder)).rejects.toMatchObject({ code: 'source-missing', message: expect.stringContaining('this is no file') });
});

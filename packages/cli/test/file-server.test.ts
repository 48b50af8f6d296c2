import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveFiles, type FileServer } from '../src/hosts/file-server.ts';

const MODEL = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
let folder: string;
let server: FileServer;
let url: string;
const delivered: Uint8Array[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatefold-'));
  await mkdir(join(folder, 'page/assets'), { recursive: true });
  await mkdir(join(folder, 'models/folder.gguf'), { recursive: true });
  await writeFile(join(folder, 'page/index.html'), '<title>page</title>');
  await writeFile(join(folder, 'page/assets/a.js'), 'export {}');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'models/other.gguf'), 'other');
  await writeFile(join(folder, 'models/empty.gguf'), '');
  for (const name of ['model #1.gguf', 's-00001-of-00002.gguf', 's-00002-of-00002.gguf', 's-00001-of-00003.gguf', 't-00002-of-00002.gguf']) await writeFile(join(folder, 'models', name), MODEL);
  server = await serveFiles(join(folder, 'page'), async (bytes) => void delivered.push(bytes), { 'x-added': 'yes' });
  url = server.urlOf(join(folder, 'models/model #1.gguf'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

/** Sends the path as it is: `fetch` would tidy it up. */
async function raw(path: string, method = 'GET'): Promise<{ status: number | undefined; body: string }> {
  const { port } = new URL(server.origin);
  const sent = request({ host: '127.0.0.1', port, path, method }).end();
  const [response] = await once(sent, 'response');
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body };
}

const range = (value: string, headers: Record<string, string> = {}, from = url) => fetch(from, { headers: { range: value, ...headers } });
const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

describe('the page', () => {
  test('is served with its types and the added headers', async () => {
    const page = await fetch(server.origin);
    expect([page.status, page.headers.get('content-type'), page.headers.get('x-added'), await page.text()]).toEqual([200, 'text/html; charset=utf-8', 'yes', '<title>page</title>']);
    expect((await fetch(`${server.origin}/assets/a.js`)).headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  });

  test.each(['/none.html', '/assets', '/assets/', '/model/0', '/model/0/', '/model/99/a.gguf', '/model/x/a.gguf'])('%s is not there', async (path) => {
    expect((await raw(path)).status).toBe(404);
  });

  test.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%2f..%2f..%2fsecret.txt',
    '/%252e%252e/secret.txt',
    '//secret.txt',
    '/./../secret.txt',
    '/model/0/..%2f..%2fsecret.txt',
    '/model/0/../../../secret.txt',
    '/model/0/..',
  ])('%s does not lead out of it', async (path) => {
    const { status, body } = await raw(path);
    expect(status).toBe(404);
    expect(body).toBe('');
  });

  test.each(['/%', '/%ff', '/a%00.html', '/..%5csecret.txt', 'secret.txt', '../secret.txt', 'http://127.0.0.1/../secret.txt'])('%s is malformed', async (path) => {
    expect((await raw(path)).status).toBe(400);
  });

  test.each(['PUT', 'DELETE', 'POST'])('%s is refused', async (method) => {
    expect((await raw('/', method)).status).toBe(405);
  });
});

describe('a model', () => {
  test('is served whole, and by HEAD', async () => {
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(await bytesOf(response)).toEqual(MODEL);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), (await bytesOf(head)).length]).toEqual([200, '1000', 0]);
  });

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=990-', 990, 1000],
    ['bytes=999-999', 999, 1000],
    ['bytes=990-5000', 990, 1000],
    ['bytes=0-99999999999999999999', 0, 1000],
    ['bytes=-10', 990, 1000],
    ['bytes=-5000', 0, 1000],
  ])('range %s', async (value, from, to) => {
    const response = await range(value);
    expect([response.status, response.headers.get('content-range'), response.headers.get('content-length')]).toEqual([206, `bytes ${from}-${to - 1}/1000`, `${to - from}`]);
    expect(await bytesOf(response)).toEqual(MODEL.slice(from, to));
  });

  test.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=99999999999999999999-', 'bytes=-0'])('range %s cannot be satisfied', async (value) => {
    const response = await range(value);
    expect([response.status, response.headers.get('content-range'), (await bytesOf(response)).length]).toEqual([416, 'bytes */1000', 0]);
  });

  test.each(['bytes=5-2', 'bytes=-', 'bytes=a-b', 'bytes=0-1,5-6', 'items=0-1', 'bytes 0-1', 'bytes=1'])('range %s is ignored', async (value) => {
    const response = await range(value);
    expect([response.status, (await bytesOf(response)).length]).toEqual([200, 1000]);
  });

  test('If-Range lets a range count only for the version that is known', async () => {
    const path = join(folder, 'models/model #1.gguf');
    const etag = (await fetch(url, { method: 'HEAD' })).headers.get('etag') ?? '';
    expect((await range('bytes=0-1', { 'if-range': etag })).status).toBe(206);
    await utimes(path, 1, 1);
    const changed = await range('bytes=0-1', { 'if-range': etag });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(etag);
    await changed.body?.cancel();
  });

  test('may be empty', async () => {
    const empty = server.urlOf(join(folder, 'models/empty.gguf'));
    expect((await fetch(empty)).status).toBe(200);
    expect((await range('bytes=0-', {}, empty)).status).toBe(416);
    expect((await range('bytes=-1', {}, empty)).status).toBe(416);
  });

  test('comes with the other parts of a split one, and with no other file of its folder', async () => {
    const part = server.urlOf(join(folder, 'models/s-00002-of-00002.gguf'));
    const beside = async (from: string, name: string) => (await fetch(new URL(encodeURIComponent(name), from), { method: 'HEAD' })).status;
    expect(await beside(part, 's-00001-of-00002.gguf')).toBe(200);
    expect(await beside(part, 's-00003-of-00002.gguf')).toBe(404);
    expect(await beside(part, 's-00001-of-00003.gguf')).toBe(404);
    expect(await beside(part, 't-00002-of-00002.gguf')).toBe(404);
    expect(await beside(part, 'other.gguf')).toBe(404);
    expect(await beside(url, 'other.gguf')).toBe(404);
    expect(await beside(url, 's-00001-of-00002.gguf')).toBe(404);
  });

  test('is a file, be it by a link', async () => {
    expect((await fetch(server.urlOf(join(folder, 'models/folder.gguf')))).status).toBe(404);
    await symlink(join(folder, 'models/other.gguf'), join(folder, 'link.gguf'));
    expect(await (await fetch(server.urlOf(join(folder, 'link.gguf')))).text()).toBe('other');
  });

  test('that nobody reads to its end keeps nothing open', async () => {
    const big = join(folder, 'models/big.gguf');
    await writeFile(big, new Uint8Array(20_000_000));
    const controller = new AbortController();
    const response = await fetch(server.urlOf(big), { signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    expect((await range('bytes=0-0')).status).toBe(206);
  });
});

test('what a job made is delivered in whole', async () => {
  const bytes = new Uint8Array(3_000_000).fill(7);
  expect((await fetch(`${server.origin}/deliver`, { method: 'POST', body: bytes })).status).toBe(204);
  expect(delivered).toHaveLength(1);
  expect(Buffer.compare(delivered[0] ?? new Uint8Array(), bytes)).toBe(0);
});

test('a failing delivery is told', async () => {
  const failing = await serveFiles(folder, () => Promise.reject(new Error('the disk is full')));
  const response = await fetch(`${failing.origin}/deliver`, { method: 'POST', body: 'x' });
  expect([response.status, await response.text()]).toEqual([500, 'Error: the disk is full']);
  await failing.close();
});

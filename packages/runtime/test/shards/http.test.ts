import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Warning } from '../../src/api/types.ts';
import { requestFailure } from '../../src/shards/sources/http-request.ts';
import { HttpSource } from '../../src/shards/sources/http.ts';
import { breakAfter, FileServer, reset, shortRange, status } from './file-server.ts';
import { randomBytes } from './random.ts';

const file = randomBytes(300_000);
const retry = { attempts: 3, firstDelayMs: 5, maxDelayMs: 1500 };
let server: FileServer;
let origin: string;
let warnings: Warning[];
let source: HttpSource;

beforeEach(async () => {
  server = new FileServer();
  server.files.set('/m/model.gguf', file);
  origin = await server.start();
  warnings = [];
  source = new HttpSource(`${origin}/m/model.gguf`, { retry, stallMs: 300, onWarning: (warning) => warnings.push(warning) });
});
afterEach(() => server.stop());

describe('a server with Range', () => {
  test('sends what is asked for and no more', async () => {
    expect(source.size).toBeUndefined();
    let counted = 0;
    expect(await source.read(1000, 5000, { onBytes: (bytes) => (counted += bytes) })).toEqual(file.slice(1000, 6000));
    expect(counted).toBe(5000);
    expect(source.size).toBe(file.length);
    expect(await source.read(file.length - 1, 1)).toEqual(file.slice(-1));
    expect(server.sent).toBe(5001);
    expect(warnings).toEqual([]);
  });

  test('names its version by ETag, by date, or not at all', async () => {
    expect(await source.version()).toBe('etag "v1"');
    server.etag = 'W/"v1"';
    expect(await new HttpSource(source.name).version()).toBe('etag "v1"');
    server.etag = undefined;
    expect(await new HttpSource(source.name).version()).toBeUndefined();
    server.lastModified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    expect(await new HttpSource(source.name).version()).toBe(`modified ${server.lastModified} size ${file.length}`);
  });

  test('that hides Content-Range is asked for the size by HEAD', async () => {
    server.hidesContentRange = true;
    expect(await source.read(7, 70)).toEqual(file.slice(7, 77));
    expect(source.size).toBe(file.length);
  });

  test('has siblings beside the file, with its query', () => {
    const signed = new HttpSource('https://host.test/a/b-00001-of-00002.gguf?key=1');
    expect(signed.sibling('b-00002-of-00002.gguf').name).toBe('https://host.test/a/b-00002-of-00002.gguf?key=1');
  });
});

describe('a server without Range', () => {
  beforeEach(() => (server.supportsRange = false));

  test('is read in one pass, with one warning', async () => {
    expect(await source.read(0, 24)).toEqual(file.slice(0, 24));
    expect(await Promise.all([source.read(200_000, 1000), source.read(10, 50), source.read(299_000, 1000)])).toEqual([
      file.slice(200_000, 201_000),
      file.slice(10, 60),
      file.slice(299_000),
    ]);
    expect(server.ranges).toHaveLength(1);
    expect(warnings.map(({ code }) => code)).toEqual(['no-range']);
  });

  test('is read in one pass where the first reads come at once', async () => {
    const parts = await Promise.all([0, 1, 2].map((part) => source.read(part * 100_000, 100_000)));
    expect(parts).toEqual([0, 1, 2].map((part) => file.slice(part * 100_000, (part + 1) * 100_000)));
    expect(warnings).toHaveLength(1);
  });

  test('that ends early is a truncated file', async () => {
    await source.read(0, 1);
    await expect(source.read(file.length - 5, 10)).rejects.toMatchObject({ code: 'source-truncated' });
  });

  test('that breaks off is read again', async () => {
    server.misbehaviours.push((request, response) => {
      response.writeHead(200, { 'content-length': file.length, etag: '"v1"' });
      response.write(file.subarray(0, 50_000), () => setTimeout(() => request.socket.destroy(), 20));
      return true;
    });
    expect(await source.read(100_000, 1000)).toEqual(file.slice(100_000, 101_000));
    expect(server.ranges).toHaveLength(2);
  });
});

describe('what is worth another try is tried again', () => {
  test.each([
    ['500', status(500)],
    ['502', status(502)],
    ['503', status(503, { 'retry-after': '0' })],
    ['a reset connection', reset],
  ])('%s', async (_, misbehaviour) => {
    server.misbehaviours.push(misbehaviour, misbehaviour);
    expect(await source.read(5, 500)).toEqual(file.slice(5, 505));
    expect(server.ranges).toHaveLength(3);
  });

  test('429 waits as long as the server says', async () => {
    server.misbehaviours.push(status(429, { 'retry-after': '1' }));
    const started = performance.now();
    expect(await source.read(5, 500)).toEqual(file.slice(5, 505));
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  test.each([
    ['seconds', '7', 7000],
    ['a date', 'Wed, 21 Oct 2015 07:28:30 GMT', 30_000],
    ['a date that is past', 'Wed, 21 Oct 2015 07:27:00 GMT', 0],
    ['nonsense', 'soon', 0],
  ])('Retry-After in %s, of 429 and 503', (_, given, afterMs) => {
    vi.useFakeTimers({ now: Date.UTC(2015, 9, 21, 7, 28), toFake: ['Date'] });
    try {
      for (const code of [429, 503]) {
        const answer = new Response(null, { status: code, headers: { 'retry-after': given } });
        expect(requestFailure('model.gguf', answer)).toMatchObject({ afterMs, error: { status: code } });
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test('a server that sends less of a range than was asked for is asked for the rest', async () => {
    server.misbehaviours.push(shortRange(file, 300), shortRange(file, 300));
    expect(await source.read(1000, 1000)).toEqual(file.slice(1000, 2000));
    expect(server.ranges).toEqual(['bytes=1000-1999', 'bytes=1300-1999', 'bytes=1600-1999']);
  });

  test('a broken answer goes on where it stopped, however often it makes progress', async () => {
    for (let i = 0; i < 6; i++) server.misbehaviours.push(breakAfter(file, 10_000));
    let counted = 0;
    expect(await source.read(1000, 100_000, { onBytes: (bytes) => (counted += bytes) })).toEqual(file.slice(1000, 101_000));
    expect(counted).toBe(100_000);
    expect(server.ranges[1]).toBe('bytes=11000-100999');
  });

  test('a stalled answer is dropped', async () => {
    server.misbehaviours.push(() => true);
    expect(await source.read(5, 500)).toEqual(file.slice(5, 505));
  });
});

describe('what is not is a typed error', () => {
  const fail = async (offset = 0, length = 10) => source.read(offset, length).then(() => undefined, (error: unknown) => error);

  test.each([
    [404, 'source-missing', 1],
    [410, 'source-missing', 1],
    [401, 'source-refused', 1],
    [403, 'source-refused', 1],
    [400, 'source-server', 1],
    [500, 'source-server', 3],
    [429, 'source-busy', 3],
  ])('status %i is %s', async (code, expected, requests) => {
    for (let i = 0; i < 3; i++) server.misbehaviours.push(status(code));
    expect(await fail()).toMatchObject({ name: 'SourceError', code: expected, status: code, url: source.name, fix: expect.any(String) });
    expect(server.ranges).toHaveLength(requests);
  });

  test('429 for longer than anyone waits', async () => {
    server.misbehaviours.push(status(429, { 'retry-after': '3600' }));
    expect(await fail()).toMatchObject({ code: 'source-busy' });
    expect(server.ranges).toHaveLength(1);
  });

  test('no connection', async () => {
    for (let i = 0; i < 3; i++) server.misbehaviours.push(reset);
    expect(await fail()).toMatchObject({ code: 'source-network' });
  });

  test('reads past the end, before the size is known and after', async () => {
    expect(await fail(file.length + 5, 10)).toMatchObject({ code: 'source-truncated', status: undefined });
    expect(source.size).toBe(file.length);
    expect(await fail(file.length - 5, 6)).toMatchObject({ code: 'source-truncated' });
    expect(server.ranges).toHaveLength(1);
    const fresh = new HttpSource(source.name);
    await expect(fresh.read(file.length - 5, 6)).rejects.toMatchObject({ code: 'source-truncated' });
  });

  test('more bytes than were asked for', async () => {
    server.misbehaviours.push((_, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-19/${file.length}`, 'content-length': 20 }).end(file.subarray(0, 20));
      return true;
    });
    expect(await fail(0, 10)).toMatchObject({ code: 'source-server', message: expect.stringContaining('more bytes') });
  });

  test('another byte range than was asked for', async () => {
    server.misbehaviours.push((_, response) => {
      response.writeHead(206, { 'content-range': `bytes 5-14/${file.length}`, 'content-length': 10 }).end(file.subarray(5, 15));
      return true;
    });
    expect(await fail(0, 10)).toMatchObject({ code: 'source-server' });
  });
});

describe('a file that changes between reads', () => {
  const changed = { name: 'SourceError', code: 'source-changed' };

  test('by ETag', async () => {
    await source.read(0, 10);
    server.etag = '"v2"';
    await expect(source.read(10, 10)).rejects.toMatchObject(changed);
    await expect(source.read(20, 10)).rejects.toMatchObject(changed);
  });

  test('by ETag, in the middle of a read that is tried again', async () => {
    server.misbehaviours.push(breakAfter(file, 100));
    const reading = source.read(0, 1000);
    server.etag = '"v2"';
    await expect(reading).rejects.toMatchObject(changed);
  });

  test('by date', async () => {
    server.etag = undefined;
    server.lastModified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    await source.read(0, 10);
    server.lastModified = 'Wed, 21 Oct 2015 07:28:01 GMT';
    await expect(source.read(10, 10)).rejects.toMatchObject(changed);
  });

  test('by date, in the middle of a read that is tried again', async () => {
    server.etag = undefined;
    server.lastModified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    server.misbehaviours.push(shortRange(file, 100, { 'last-modified': server.lastModified }), reset);
    const reading = source.read(0, 1000);
    server.lastModified = 'Wed, 21 Oct 2015 07:28:01 GMT';
    await expect(reading).rejects.toMatchObject(changed);
  });

  test('while a server without Range sends it', async () => {
    server.supportsRange = false;
    server.misbehaviours.push((request, response) => {
      response.writeHead(200, { 'content-length': file.length, etag: '"v1"' });
      response.write(file.subarray(0, 50_000), () => setTimeout(() => request.socket.destroy(), 20));
      return true;
    });
    const reading = source.read(100_000, 1000);
    server.etag = '"v2"';
    await expect(reading).rejects.toMatchObject(changed);
  });

  test('by size alone', async () => {
    server.etag = undefined;
    await source.read(0, 10);
    server.files.set('/m/model.gguf', file.slice(1));
    await expect(source.read(10, 10)).rejects.toMatchObject(changed);
  });
});

test('an abort ends a read, its waits and its body, with the given reason', async () => {
  for (const misbehaviour of [() => true, status(429, { 'retry-after': '1' }), breakAfter(file, 5)]) {
    server.misbehaviours.push(misbehaviour, reset, reset);
    const abort = new AbortController();
    const reason = new Error('enough');
    const reading = source.read(0, 1000, { signal: abort.signal });
    setTimeout(() => abort.abort(reason), 10);
    await expect(reading).rejects.toBe(reason);
    server.misbehaviours.length = 0;
  }
});

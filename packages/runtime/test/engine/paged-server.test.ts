// What becomes of an answer whose experts come from a server that fails, on Node's Dawn.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Session } from '../../src/engine/session.ts';
import { HttpSource } from '../../src/shards/sources/http.ts';
import { breakAfter, FileServer, reset, shortRange, status, type Misbehaviour } from '../shards/file-server.ts';
import { openSource, type OpenFixture } from './open-fixture.ts';

const FILE = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/olmoe-q4_0/model.gguf')));
const PROMPT = [17, 300, 5, 42, 7];
/** Experts that leave at once: each answer asks the server for most of what it uses. */
const OPTIONS = { contextLength: 96, prefillChunk: 8, gpuBudget: '1%' };

let server: FileServer;
let open: OpenFixture;
let expected: readonly number[];
beforeAll(async () => {
  server = new FileServer();
  server.files.set('/model.gguf', FILE);
  const source = new HttpSource(`${await server.start()}/model.gguf`, { retry: { attempts: 3, firstDelayMs: 5, maxDelayMs: 1500 } });
  open = await openSource(source, OPTIONS);
  expected = await withSession(generate);
});
afterAll(async () => {
  open?.model.dispose();
  await server?.stop();
});

async function generate(session: Session): Promise<readonly number[]> {
  return (await session.generate({ promptIds: PROMPT, maxTokens: 6, stopIds: [] }, {})).ids;
}

async function withSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
  const session = await open.model.createSession();
  try {
    return await use(session);
  } finally {
    open.model.disposeSession(session);
  }
}

it.each<[string, Misbehaviour]>([
  ['429 with Retry-After', status(429, { 'retry-after': '0' })],
  ['503', status(503)],
  ['a reset connection', reset],
  ['a connection that breaks in the middle of an expert', breakAfter(FILE, 1000)],
  ['a range that is cut short', shortRange(FILE, 1000)],
])('%s in the middle of an answer is bridged', async (_, misbehaviour) => {
  // One now and then, among requests that succeed.
  server.misbehaviours.push(misbehaviour, () => false, misbehaviour, misbehaviour);
  expect(await withSession(generate)).toEqual(expected);
  expect(server.misbehaviours).toHaveLength(0);
});

it.each([
  [404, 'source-missing'],
  [416, 'source-truncated'],
  [403, 'source-refused'],
] as const)('status %i in the middle of an answer is a typed error, and the session goes on afterwards', async (code, expectedCode) => {
  await withSession(async (session) => {
    server.misbehaviours.push(() => false, status(code));
    await expect(generate(session)).rejects.toMatchObject({ name: 'SourceError', code: expectedCode });
    server.misbehaviours.length = 0;
    expect(await generate(session)).toEqual(expected);
  });
});

it('a file that changes in the middle of an answer ends it: no expert of the new version is used', async () => {
  await withSession(async (session) => {
    const { loads } = await session.generate({ promptIds: PROMPT, maxTokens: 2, stopIds: [] }, {}).then(({ counts }) => ({ loads: counts.expertLoads }));
    expect(loads).toBeGreaterThan(0);
    server.etag = '"v2"';
    server.files.set('/model.gguf', FILE.map((byte) => byte ^ 0xff));
    const failure = { name: 'SourceError', code: 'source-changed', fix: expect.stringContaining('Load the model again') };
    const tokens: number[] = [];
    const prompt = [300, 5, 42, 7, 99, 250, 1, 8];
    await expect(session.generate({ promptIds: prompt, maxTokens: 6, stopIds: [] }, { onToken: ({ id }) => tokens.push(id) })).rejects.toMatchObject(failure);
    expect(tokens).toEqual([]);
    // The old version is back, e.g. a cache that was half renewed: the model that was loaded goes on.
    server.etag = '"v1"';
    server.files.set('/model.gguf', FILE);
    expect(await generate(session)).toEqual(expected);
  });
});

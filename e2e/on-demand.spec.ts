// Experts on demand in real Chromium, with a real IndexedDB and a model server that counts bytes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type BrowserContext, type Page } from 'playwright/test';
import type { ShardManifest } from '../packages/runtime/src/shards/manifest/manifest.ts';
import { createManifest } from '../packages/runtime/src/shards/manifest/check-model.ts';
import { PathSource } from '../packages/runtime/src/shards/sources/path.ts';
import { serveApi, type ServedPages } from './pages/serve.ts';
import { SlowServer, type AskedRange } from './pages/slow-server.ts';

const PATH = join(import.meta.dirname, '../packages/runtime/test/fixtures/olmoe-q4_0/model.gguf');
const MODEL = readFileSync(PATH);
const KILLS = process.env['GATEFOLD_THOROUGH'] === '1' ? 100 : 8;
/** 10 Mbit/s and 40 ms. */
const SLOW = { bytesPerSecond: 1_250_000, latencyMs: 40 };

let pages: ServedPages;
let manifest: ShardManifest;
let server: SlowServer;

test.beforeAll(async () => {
  pages = await serveApi();
  manifest = await createManifest(new PathSource(PATH));
});
test.afterAll(() => pages.close());
test.afterEach(() => server.close());

interface Outcome {
  readonly ids: readonly number[];
  /** Of the first token. */
  readonly experts: readonly (readonly number[])[];
  readonly warnings: readonly string[];
  readonly error: { readonly code: string; readonly missing: unknown; readonly message: string } | undefined;
}

interface Asked {
  readonly url: string;
  readonly prompt: readonly number[];
  readonly tokens: number;
  /** Also brings the rest. */
  readonly all?: boolean;
}

/** Loads the model in a page, generates, and leaves `window.opened` for more. */
function run(page: Page, asked: Asked): Promise<Outcome> {
  return page.evaluate(async ({ url, prompt, tokens, all }) => {
    const warnings: string[] = [];
    const ids: number[] = [];
    let experts: readonly (readonly number[])[] = [];
    try {
      const model = await window.gatefold.load(url, { contextLength: 64, gpuBudget: '100%', onWarning: ({ code, message }) => warnings.push(`${code}: ${message}`) });
      const session = await model.createSession();
      for await (const token of session.generate({ promptIds: prompt, maxTokens: tokens, stopIds: [] })) {
        if (ids.push(token.id) === 1) experts = token.experts;
      }
      if (all) await model.download();
      await model.dispose();
      return { ids, experts, warnings, error: undefined };
    } catch (error) {
      if (!(error instanceof window.gatefold.GatefoldError)) throw error;
      return { ids, experts, warnings, error: { code: error.code, missing: error.details['missing'], message: error.message } };
    }
  }, asked);
}

async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(pages.url);
  return page;
}

/** Shards that have a record in the page's IndexedDB. */
function storedShards(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    // Opening a database that is not there would make an empty one.
    if (!(await indexedDB.databases()).some(({ name }) => name === 'gatefold')) return [];
    return new Promise<string[]>((resolve, reject) => {
      const opening = indexedDB.open('gatefold');
      opening.addEventListener('error', () => reject(opening.error));
      opening.addEventListener('success', () => {
        const keys = opening.result.transaction('shards').objectStore('shards').getAllKeys();
        keys.addEventListener('success', () => {
          opening.result.close();
          resolve(keys.result.flatMap((key) => (Array.isArray(key) && key[0] === 'record' ? [String(key[2])] : [])));
        });
      });
    });
  });
}

/** The shards that requests brought, each as often as its end was asked for: its start may have come with the header. */
function shardsOf(asked: readonly AskedRange[]): string[] {
  return asked.flatMap(({ start, end }) =>
    manifest.shards.flatMap(({ id, ranges }) => {
      const [, offset = 0, length = 0] = ranges[0] ?? [];
      const last = offset + length - 1;
      return start <= last && last < end ? [id] : [];
    }),
  );
}

/** Puts other bytes in place of a stored shard's, as many. */
function damageStored(page: Page, shard: string): Promise<void> {
  return page.evaluate(async (id) => {
    const root = await navigator.storage.getDirectory();
    const models = await root.getDirectoryHandle('gatefold');
    for await (const model of models.values()) {
      if (!(model instanceof FileSystemDirectoryHandle)) continue;
      const file = await model.getFileHandle(`${id}.shard`);
      const { size } = await file.getFile();
      const stream = await file.createWritable();
      await stream.write(new Uint8Array(size));
      await stream.close();
    }
  }, shard);
}

/** A model whose experts come when they are asked for, and a session of it that stays open. */
function openSession(page: Page, url: string) {
  return page.evaluateHandle(async (source) => {
    const model = await window.gatefold.load(source, { contextLength: 64, gpuBudget: '100%' });
    return { model, session: await model.createSession() };
  }, url);
}

/** Up to four ids of a session, and the fields of the error that ended them. */
function generateFour(page: Page, opened: Awaited<ReturnType<typeof openSession>>, promptIds: readonly number[]) {
  return page.evaluate(
    async ({ handle, prompt }) => {
      const ids: number[] = [];
      try {
        for await (const { id } of handle.session.generate({ promptIds: prompt, maxTokens: 4, stopIds: [] })) ids.push(id);
        return { ids };
      } catch (error) {
        if (!(error instanceof window.gatefold.GatefoldError)) throw error;
        return { ids, error: { code: error.code, missing: error.details['missing'], message: error.message } };
      }
    },
    { handle: opened, prompt: promptIds },
  );
}

const headerEnd = () => Math.min(...manifest.shards.flatMap(({ ranges }) => ranges.map(([, offset]) => offset)));
const sizeOf = (ids: readonly string[]) => manifest.shards.reduce((sum, { id, size }) => sum + (ids.includes(id) ? size : 0), 0);

test('the first token comes long before the whole file, from exactly the shards that it needs', async ({ context }) => {
  server = await SlowServer.start(MODEL, SLOW);
  const { ids, experts, error } = await run(await open(context), { url: server.url, prompt: [17], tokens: 1 });
  expect(error).toBeUndefined();
  expect(ids).toHaveLength(1);
  const routed = experts.flatMap((chosen, layer) => chosen.map((expert) => `layer.${layer}.expert.${expert}`));
  const trunk = manifest.shards.flatMap(({ id }) => (id.includes('expert') ? [] : [id]));
  expect(shardsOf(server.asked).toSorted()).toEqual([...trunk, ...routed].toSorted());
  const needed = sizeOf([...trunk, ...routed]);
  const fetched = server.asked.reduce((sum, { start, end }) => sum + Math.max(0, end - Math.max(start, headerEnd())), 0);
  console.log(`${server.sent} bytes sent of ${MODEL.length}; the shards needed have ${needed}`);
  expect(fetched).toBeLessThanOrEqual(needed * 1.02);
  expect(server.sent).toBeLessThan(MODEL.length * 0.75);
});

test('tabs killed at random moments never cost a byte that was verified, and never leave a wrong one', async ({ context }) => {
  test.setTimeout(300_000 + KILLS * 10_000);
  server = await SlowServer.start(MODEL, { bytesPerSecond: 4_000_000, latencyMs: 5 });
  const reader = await open(context);
  for (let kill = 0; kill < KILLS; kill++) {
    const before = await storedShards(reader);
    const from = server.asked.length;
    const page = await open(context);
    const running = run(page, { url: server.url, prompt: [17, 300, 5], tokens: 40, all: true }).catch(() => undefined);
    await new Promise((moment) => setTimeout(moment, Math.random() * 6000));
    await page.close();
    await running;
    const again = shardsOf(server.asked.slice(from)).filter((id) => before.includes(id));
    expect(again, `fetched again after kill ${kill}`).toEqual([]);
  }
  const { ids, warnings, error } = await run(reader, { url: server.url, prompt: [17, 300, 5], tokens: 8, all: true });
  expect(error).toBeUndefined();
  expect(warnings.filter((warning) => !warning.startsWith('slow-adapter'))).toEqual([]);
  expect((await storedShards(reader)).toSorted()).toEqual(manifest.shards.map(({ id }) => id).toSorted());
  // All bytes in the store have the hashes of the file.
  await server.close();
  server = await SlowServer.start(MODEL);
  const fresh = await run(reader, { url: server.url, prompt: [17, 300, 5], tokens: 8 });
  expect(fresh.ids).toEqual(ids);
});

test('flipped bytes on the way and in the database are caught, named and repaired', async ({ context }) => {
  server = await SlowServer.start(MODEL);
  server.files.set('/model.gguf.gatefold.json', JSON.stringify(manifest));
  const [, offset = 0] = manifest.shards.find(({ id }) => id === 'token_embd.weight')?.ranges[0] ?? [];
  let flips = 1;
  server.tamper = (bytes, { start, end }) => {
    if (start <= offset && offset < end && flips-- > 0) bytes.writeUInt8(bytes.readUInt8(offset - start) ^ 1, offset - start);
  };
  const page = await open(context);
  const first = await run(page, { url: server.url, prompt: [17, 300], tokens: 4 });
  expect(first.error).toBeUndefined();
  expect(flips).toBeLessThanOrEqual(0);

  await damageStored(page, 'output.weight');
  const second = await run(page, { url: server.url, prompt: [17, 300], tokens: 4 });
  expect(second.ids).toEqual(first.ids);
  expect(second.warnings.filter((warning) => warning.startsWith('shard-damaged'))).toEqual([expect.stringContaining('output.weight')]);

  server.tamper = (bytes, { start, end }) => {
    if (start <= offset && offset < end) bytes.writeUInt8(bytes.readUInt8(offset - start) ^ 1, offset - start);
  };
  server.etag = '"2"';
  const other = await context.browser()?.newContext();
  if (!other) throw new Error('no browser');
  const damaged = await run(await open(other), { url: server.url, prompt: [17], tokens: 1 });
  await other.close();
  expect(damaged.error).toMatchObject({ code: 'shard-hash', message: expect.stringContaining('token_embd.weight') });
});

test('answers that break off in their middle are mended', async ({ context }) => {
  server = await SlowServer.start(MODEL);
  const whole = await run(await open(context), { url: server.url, prompt: [17, 300], tokens: 4 });
  await server.close();

  server = await SlowServer.start(MODEL);
  // Every other answer ends in its middle.
  let answers = 0;
  server.cut = ({ start, end }) => (answers++ % 2 === 0 ? Math.ceil((end - start) / 2) : Infinity);
  const other = await context.browser()?.newContext();
  if (!other) throw new Error('no browser');
  const cut = await run(await open(other), { url: server.url, prompt: [17, 300], tokens: 4 });
  await other.close();
  expect(cut.error).toBeUndefined();
  expect(cut.ids).toEqual(whole.ids);
  expect(cut.warnings.filter((warning) => !warning.startsWith('slow-adapter'))).toEqual([]);
  expect(answers).toBeGreaterThan(4);
});

test('a file that changes between two answers is a typed error, and the next visit loads the new version', async ({ context }) => {
  server = await SlowServer.start(MODEL);
  const page = await open(context);
  const opened = await openSession(page, server.url);
  const generate = (promptIds: readonly number[]) => generateFour(page, opened, promptIds);
  const before = await generate([17]);
  expect(before.ids).toHaveLength(4);
  server.etag = '"2"';
  const long = [300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];
  expect(await generate(long)).toMatchObject({ ids: [], error: { code: 'source-changed' } });
  await opened.evaluate(({ model }) => model.dispose());
  const first = await run(page, { url: server.url, prompt: [17], tokens: 4 });
  const next = first.error?.code === 'source-changed' ? await run(page, { url: server.url, prompt: [17], tokens: 4 }) : first;
  expect(next.error).toBeUndefined();
  expect(next.ids).toEqual(before.ids);
});

test('without a network a missing expert is a typed error, and the session goes on afterwards', async ({ context }) => {
  server = await SlowServer.start(MODEL);
  const page = await open(context);
  const opened = await openSession(page, server.url);
  const generate = (promptIds: readonly number[]) => generateFour(page, opened, promptIds);
  const long = [300, 5, 42, 7, 99, 250, 1, 8, 64, 128, 3, 77];
  await generate([17]);
  const elsewhere = await opened.evaluate(async ({ model }) => (await model.expertPlaces()).flat().filter((place) => place === 'network').length);
  server.isOffline = true;
  const failure = await generate(long);
  expect(failure.error).toMatchObject({ code: 'experts-unavailable', missing: elsewhere, message: expect.stringContaining(`${elsewhere} of the model's 32 experts`) });
  server.isOffline = false;
  expect((await generate(long)).ids).toHaveLength(4);
});

test('a second tab at the same time fetches nothing twice', async ({ context }) => {
  server = await SlowServer.start(MODEL, SLOW);
  const tabs = [await open(context), await open(context)];
  const outcomes = await Promise.all(tabs.map((tab) => run(tab, { url: server.url, prompt: [17, 300, 5], tokens: 4, all: true })));
  expect(outcomes[0]?.error).toBeUndefined();
  expect(outcomes[1]?.ids).toEqual(outcomes[0]?.ids);
  // Each tab reads the header for itself, and what weights come with it.
  const asked = shardsOf(server.asked.filter(({ start }) => start >= headerEnd()));
  expect(asked.toSorted()).toEqual([...new Set(asked)].toSorted());
  expect([...new Set(shardsOf(server.asked))].toSorted()).toEqual(manifest.shards.map(({ id }) => id).toSorted());
});

test('a full disk is a warning, and the model goes on from the network', async ({ context }) => {
  server = await SlowServer.start(MODEL);
  const page = await open(context);
  const session = await context.newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(pages.url).origin, quotaSize: 900_000 });
  const { ids, warnings, error } = await run(page, { url: server.url, prompt: [17, 300, 5], tokens: 8 });
  expect(error).toBeUndefined();
  expect(ids).toHaveLength(8);
  expect(warnings.filter((warning) => !warning.startsWith('slow-adapter'))).toEqual([expect.stringMatching(/^quota-exceeded/)]);
});

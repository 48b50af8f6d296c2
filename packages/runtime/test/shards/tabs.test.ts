// Two tabs on one model: two loaders over one IndexedDB, with Web Locks between them.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { withLocks } from '../../src/shards/store/shard-locks.ts';
import { loadAll, MODEL, ModelOnServer } from './model-on-server.ts';

/** Exclusive locks by name, as `navigator.locks` has them. */
class Locks {
  readonly #last = new Map<string, Promise<unknown>>();

  async request<T>(name: string, { signal }: { readonly signal: AbortSignal }, run: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    aborted.catch(() => {});
    const mine = Promise.race([before, aborted]).then(run);
    this.#last.set(name, Promise.allSettled([before, mine]));
    return mine;
  }
}

let model: ModelOnServer;
beforeEach(async () => {
  vi.stubGlobal('navigator', { locks: new Locks() });
  model = await ModelOnServer.start();
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await model.server.stop();
});

test('download no byte twice, and both have all of it', async () => {
  const tabs = await Promise.all([model.open({ batchBytes: 60_000 }), model.open({ batchBytes: 200_000 })]);
  const header = model.server.sent;
  const loaded = await Promise.all(tabs.map((tab) => loadAll(tab)));
  for (const [id, bytes] of loaded[0] ?? []) expect(Buffer.compare(bytes, loaded[1]?.get(id) ?? new Uint8Array())).toBe(0);
  const weights = tabs[0]?.loader.plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0) ?? 0;
  expect(model.server.sent - header).toBeLessThan(weights + MODEL.length / 100);
  const [first, second] = tabs.map(({ loader: { stats } }) => stats);
  expect((first?.shardsFetched ?? 0) + (second?.shardsFetched ?? 0)).toBe(tabs[0]?.loader.plan.shards.length);
});

test('one that is closed while it downloads leaves the rest to the other', async () => {
  const [closing, staying] = [await model.open({ batchBytes: 60_000 }), await model.open({ batchBytes: 60_000 })];
  const close = new AbortController();
  const closed = closing.loader.loadAll(closing.loader.plan.shards, () => close.abort(new Error('closed')), { signal: close.signal });
  const loaded = loadAll(staying);
  await expect(closed).rejects.toThrow('closed');
  expect((await loaded).size).toBe(staying.loader.plan.shards.length);
});

test('locks are held until what was written is stored, and given back after a failure', async () => {
  const signal = new AbortController().signal;
  const log: string[] = [];
  let resolve = () => {};
  const stored = new Promise<void>((done) => (resolve = done));
  await withLocks(['b', 'a'], signal, async (hold) => void hold(stored.then(() => void log.push('stored'))));
  const next = withLocks(['a'], signal, async () => void log.push('next'));
  await new Promise((done) => setTimeout(done, 5));
  expect(log).toEqual([]);
  resolve();
  await next;
  expect(log).toEqual(['stored', 'next']);
  await expect(withLocks(['a'], signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withLocks(['a', 'b'], signal, async () => 7)).toBe(7);
});

import { expose, type Endpoint } from 'comlink';
import { expect, test } from 'vitest';
import { NO_STORE } from '../../src/shards/store/none.ts';
import { Readers } from '../../src/shards/store/readers.ts';
import type { FoundShard, ShardStore } from '../../src/shards/store/store.ts';

type Get = (kind: string, modelId: string, shardId: string) => Promise<FoundShard | undefined>;

/** A reader without a thread: what it gives, behind a message channel. */
class FakeReader extends EventTarget {
  readonly #channel = new MessageChannel();
  readonly asked: string[] = [];
  isTerminated = false;

  constructor(get: Get) {
    super();
    const service = {
      get: (kind: string, modelId: string, shardId: string) => {
        this.asked.push(`${kind} ${modelId} ${shardId}`);
        return get(kind, modelId, shardId);
      },
    };
    expose(service, this.#channel.port2 as unknown as Endpoint);
    this.#channel.port1.addEventListener('message', ({ data }) => this.dispatchEvent(Object.assign(new Event('message'), { data })));
    this.#channel.port1.start();
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#channel.port1.postMessage(message, transfer);
  }

  terminate(): void {
    this.isTerminated = true;
    this.#channel.port1.close();
  }
}

const found = (sha256: string): FoundShard => ({ bytes: new Uint8Array([1, 2, 3]), sha256 });
const here: ShardStore = { ...NO_STORE, kind: 'opfs', get: async (_, shardId) => found(`${shardId} of this thread`) };

test('shards come from all of them', async () => {
  const workers = [1, 2, 3].map(() => new FakeReader(async (_kind, _model, shardId) => (shardId === 'missing' ? undefined : found(shardId))));
  const readers = new Readers(here, workers);
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  expect(await Promise.all(ids.map((id) => readers.get('m', id)))).toEqual(ids.map(found));
  expect(workers.map(({ asked }) => asked.length)).toEqual([2, 2, 2]);
  expect(workers[0]?.asked[0]).toBe('opfs m a');
  expect(await readers.get('m', 'missing')).toBeUndefined();
  readers.close();
  expect(workers.every(({ isTerminated }) => isTerminated)).toBe(true);
});

test('what they cannot read is read in this thread', async () => {
  const readers = new Readers(here, [new FakeReader(() => Promise.reject(new Error('no such store')))]);
  expect((await readers.get('m', 'a'))?.sha256).toBe('a of this thread');
  readers.close();
});

test('one that fails or does not start holds nothing up', async () => {
  const workers = [new FakeReader(() => new Promise(() => {}))];
  const readers = new Readers(here, workers);
  const waiting = readers.get('m', 'a');
  workers[0]?.dispatchEvent(new Event('error'));
  expect((await waiting)?.sha256).toBe('a of this thread');
  expect((await readers.get('m', 'b'))?.sha256).toBe('b of this thread');
  readers.close();
});

import { wrap, type Endpoint, type Remote } from 'comlink';
import type { Reader } from './reader.ts';
import type { FoundShard, ShardStore } from './store.ts';

/** Shards on their way at a time are no more than a few times as many. */
const MOST_READERS = 8;

/** What is needed of a `Worker`. */
type ReaderWorker = Endpoint & Pick<Worker, 'terminate'>;

/**
 * Workers that read a store's shards and hash them: browsers do much of both in the thread that asks. Undefined where
 * there are no workers or few processors.
 */
export function startReaders(store: ShardStore): Readers | undefined {
  const count = Math.min(MOST_READERS, Math.floor((globalThis.navigator?.hardwareConcurrency ?? 1) / 2));
  if (count < 2 || typeof Worker === 'undefined') return undefined;
  return new Readers(store, Array.from({ length: count }, () => new Worker(new URL('./reader.ts', import.meta.url), { type: 'module', name: 'gatefold reader' })));
}

/** Reads from a store in several threads; in this one where those fail. */
export class Readers implements Pick<ShardStore, 'get'> {
  readonly #readers: readonly { readonly remote: Remote<Reader>; waiting: number }[];
  readonly #end = new AbortController();
  readonly #ended: Promise<never>;

  constructor(
    readonly store: ShardStore,
    readonly workers: readonly ReaderWorker[],
  ) {
    const { signal } = this.#end;
    this.#ended = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    this.#ended.catch(() => {});
    this.#readers = workers.map((worker) => {
      worker.addEventListener('error', () => this.#end.abort());
      return { remote: wrap<Reader>(worker), waiting: 0 };
    });
  }

  /** By the reader that has least to do. */
  async get(modelId: string, shardId: string): Promise<FoundShard | undefined> {
    const reader = this.#readers.reduce((least, other) => (other.waiting < least.waiting ? other : least));
    reader.waiting++;
    try {
      return await Promise.race([this.#ended, reader.remote.get(this.store.kind, modelId, shardId)]);
    } catch {
      return await this.store.get(modelId, shardId);
    } finally {
      reader.waiting--;
    }
  }

  /** Call when nobody waits for a read any more. */
  close(): void {
    this.#end.abort();
    for (const worker of this.workers) worker.terminate();
  }
}

import type { Warning } from '../../api/types.ts';
import type { Shard } from '../shard.ts';
import type { Readers } from './readers.ts';
import type { ModelEntry, ShardRecord, ShardStore } from './store.ts';

/** Bytes that may wait for the disk; more would pile up in memory where the network is faster. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** Bytes to read that other threads are started for; less is there before they are. */
const WORTH_READERS = 256 * 1024 * 1024;

/** A shard's verified bytes with their hash. */
export interface HashedShard {
  readonly shard: Shard;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Hex; empty where nothing keeps the shard or promises its hash. */
  readonly sha256: string;
}

/** One model's shards in a store. Believes nothing that it reads, and never lets a failing store stop a load. */
export class ModelStore {
  readonly #store: ShardStore;
  readonly #model: ModelEntry;
  readonly #onWarning: (warning: Warning) => void;
  readonly #records = new Map<string, ShardRecord>();
  /** Shards whose stored bytes are not to be had. Their records stay: what is fetched in their place must have their hash. */
  readonly #damaged = new Set<string>();
  readonly #writes = new Set<Promise<void>>();
  /** Shards on their way into the store. */
  readonly #writing = new Map<string, Promise<void>>();
  #readers: Readers | undefined;
  #pendingBytes = 0;
  #writable: boolean;

  private constructor(store: ShardStore, model: ModelEntry, onWarning: (warning: Warning) => void) {
    this.#store = store;
    this.#model = model;
    this.#onWarning = onWarning;
    this.#writable = store.kind !== 'none';
  }

  /** Enters the model in the store's list and reads which of its shards are there. */
  static async open(store: ShardStore, model: ModelEntry, onWarning: (warning: Warning) => void): Promise<ModelStore> {
    const opened = new ModelStore(store, model, onWarning);
    await opened.attempt(() => store.addModel(model));
    await opened.attempt(async () => {
      for (const [id, record] of await store.records(model.id)) opened.#records.set(id, record);
    });
    return opened;
  }

  /** Whether what is written is kept. */
  get writable(): boolean {
    return this.#writable;
  }

  has(shard: Shard): boolean {
    return !this.#damaged.has(shard.id) && this.#records.get(shard.id)?.byteLength === shard.byteLength;
  }

  /** SHA-256 that the shard had when it was first fetched. */
  recordedHash(shard: Shard): string | undefined {
    return this.#records.get(shard.id)?.sha256;
  }

  /** Verified bytes of a shard; undefined where there are none, and with a warning where they are damaged. */
  async read(shard: Shard): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.#writing.get(shard.id);
    if (!this.has(shard)) return undefined;
    const found = await this.#readWhole(shard).catch((error: unknown) => `cannot be read (${String(error)})`);
    if (typeof found !== 'string') return found;
    this.#damaged.add(shard.id);
    this.#onWarning({ code: 'shard-damaged', message: `The stored shard ${shard.id} ${found}. It is dropped and fetched again.` });
    return undefined;
  }

  /** Runs `work` with workers that read and hash, where there is so much to read that they are worth their start. */
  async withReaders(shards: readonly Shard[], work: () => Promise<void>): Promise<void> {
    const bytes = shards.reduce((sum, shard) => sum + (this.has(shard) ? shard.byteLength : 0), 0);
    if (bytes >= WORTH_READERS && !this.#readers) this.#readers = (await import('./readers.ts')).startReaders(this.#store);
    try {
      await work();
    } finally {
      this.#readers?.close();
      this.#readers = undefined;
    }
  }

  /** Starts to store shards; their bytes must not be changed. */
  write(shards: readonly HashedShard[]): void {
    if (!this.#writable) return;
    const bytes = shards.reduce((sum, { shard }) => sum + shard.byteLength, 0);
    this.#pendingBytes += bytes;
    const stored = shards.map(({ shard, ...hashed }) => ({ id: shard.id, ...hashed }));
    const write = this.attempt(async () => {
      await this.#store.put(this.#model, stored);
      for (const { id, bytes: { length }, sha256: hash } of stored) {
        this.#records.set(id, { sha256: hash, byteLength: length });
        this.#damaged.delete(id);
      }
    }).finally(() => {
      this.#pendingBytes -= bytes;
      for (const { id } of stored) this.#writing.delete(id);
      this.#writes.delete(write);
    });
    for (const { id } of stored) this.#writing.set(id, write);
    this.#writes.add(write);
  }

  /** Sees shards that another tab has stored since. */
  async lookAgain(shards: readonly Shard[]): Promise<void> {
    if (!this.#writable) return;
    const unknown = shards.filter(({ id }) => !this.#records.has(id));
    await this.attempt(async () => {
      const records = await Promise.all(unknown.map(({ id }) => this.#store.record(this.#model.id, id)));
      for (const [i, record] of records.entries()) if (record) this.#records.set(unknown[i]?.id ?? '', record);
    });
  }

  /** Waits until these shards are stored, where they are on their way. */
  async written(shards: readonly Shard[]): Promise<void> {
    await Promise.all(shards.map(({ id }) => this.#writing.get(id)));
  }

  /** Waits until more may be written. */
  async room(): Promise<void> {
    while (this.#pendingBytes > MAX_PENDING_BYTES) await Promise.race(this.#writes);
  }

  /** Waits until all that was written is stored. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** Does something with the store; when it fails, warns and writes no more. */
  async attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!this.#writable) return;
      this.#writable = false;
      this.#onWarning(storeWarning(error));
    }
  }

  /** The stored bytes, or what is wrong with them. */
  async #readWhole(shard: Shard): Promise<Uint8Array<ArrayBuffer> | string> {
    const found = await (this.#readers ?? this.#store).get(this.#model.id, shard.id);
    if (found?.bytes.length !== shard.byteLength) return `has ${found?.bytes.length ?? 0} of ${shard.byteLength} bytes`;
    return found.sha256 === this.recordedHash(shard) ? found.bytes : 'does not have its SHA-256';
  }
}

function storeWarning(error: unknown): Warning {
  if (error instanceof Error && error.name === 'QuotaExceededError') {
    return {
      code: 'quota-exceeded',
      message: 'The browser has no room to keep this model: it runs, but parts of it will be fetched again next time. Delete other models or free disk space.',
    };
  }
  return { code: 'no-store', message: `The model cannot be stored (${String(error)}): it runs, but will be fetched again next time.` };
}

import type { Warning } from '../../api/types.ts';
import { sha256 } from '../hash.ts';
import type { Shard } from '../shard.ts';
import type { ShardRecord, ShardStore } from './store.ts';

/** Bytes that may wait for the disk; more would pile up in memory where the network is faster. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** A shard's verified bytes with their hash. */
export interface HashedShard {
  readonly shard: Shard;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

/** One model's shards in a store. Believes nothing that it reads, and never lets a failing store stop a load. */
export class ModelStore {
  readonly #writes = new Set<Promise<void>>();
  /** Hashes of damaged shards: what is fetched in their place must have them. */
  readonly #hashesOfDamaged = new Map<string, string>();
  #pendingBytes = 0;
  #writable: boolean;

  private constructor(
    readonly store: ShardStore,
    readonly modelId: string,
    readonly records: Map<string, ShardRecord>,
    readonly onWarning: (warning: Warning) => void,
  ) {
    this.#writable = store.kind !== 'none';
  }

  static async open(store: ShardStore, modelId: string, onWarning: (warning: Warning) => void): Promise<ModelStore> {
    return new ModelStore(store, modelId, new Map(await store.records(modelId)), onWarning);
  }

  /** Whether what is written is kept. */
  get writable(): boolean {
    return this.#writable;
  }

  has(shard: Shard): boolean {
    return this.records.get(shard.id)?.byteLength === shard.byteLength;
  }

  /** SHA-256 that the shard had when it was first fetched. */
  recordedHash(shard: Shard): string | undefined {
    return this.records.get(shard.id)?.sha256 ?? this.#hashesOfDamaged.get(shard.id);
  }

  /** Verified bytes of a shard; undefined where there are none or where they are damaged, which drops them. */
  async read(shard: Shard): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const record = this.records.get(shard.id);
    if (!record || !this.has(shard)) return undefined;
    const problem = async (): Promise<string | Uint8Array<ArrayBuffer>> => {
      const bytes = await this.store.get(this.modelId, shard.id);
      if (bytes?.length !== shard.byteLength) return `has ${bytes?.length ?? 0} of ${shard.byteLength} bytes`;
      return (await sha256(bytes)) === record.sha256 ? bytes : 'does not have its SHA-256';
    };
    const found = await problem().catch((error: unknown) => `cannot be read (${String(error)})`);
    if (typeof found !== 'string') return found;
    this.records.delete(shard.id);
    this.#hashesOfDamaged.set(shard.id, record.sha256);
    this.onWarning({ code: 'shard-damaged', message: `The stored shard ${shard.id} ${found}. It is dropped and fetched again.` });
    await this.store.remove(this.modelId, shard.id).catch(() => {});
    return undefined;
  }

  /** Starts to store shards; their bytes may be changed as soon as this returns. */
  write(shards: readonly HashedShard[]): void {
    if (!this.#writable) return;
    const bytes = shards.reduce((sum, { shard }) => sum + shard.byteLength, 0);
    this.#pendingBytes += bytes;
    const blobs = shards.map((hashed) => ({ id: hashed.shard.id, bytes: new Blob([hashed.bytes]), sha256: hashed.sha256 }));
    const write = this.store
      .put(this.modelId, blobs)
      .then(() => {
        for (const { shard, sha256: hash } of shards) this.records.set(shard.id, { sha256: hash, byteLength: shard.byteLength });
      })
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#pendingBytes -= bytes;
        this.#writes.delete(write);
      });
    this.#writes.add(write);
  }

  /** Waits until more may be written. */
  async room(): Promise<void> {
    while (this.#pendingBytes > MAX_PENDING_BYTES) await Promise.race(this.#writes);
  }

  /** Waits until all that was written is stored. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
  }

  #giveUp(error: unknown): void {
    if (!this.#writable) return;
    this.#writable = false;
    const full = error instanceof Error && error.name === 'QuotaExceededError';
    this.onWarning({
      code: full ? 'quota-exceeded' : 'no-store',
      message: full
        ? 'The browser has no room to keep this model: it runs, but parts of it will be fetched again next time. Delete other models or free disk space.'
        : `The model cannot be stored (${String(error)}): it runs, but will be fetched again next time.`,
    });
  }
}

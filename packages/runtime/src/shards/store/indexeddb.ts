import { createStore, del, get, promisifyRequest, set, setMany, type UseStore } from 'idb-keyval';
import { withHash } from './with-hash.ts';
import type { FoundShard, HeaderSegment, ModelEntry, ShardRecord, ShardStore, StoredHeader, StoredModel, StoredShard } from './store.ts';

const DATABASE = 'gatefold';

/** Headers as they lie in the database. */
interface HeaderValue extends Omit<StoredHeader, 'segments'> {
  readonly segments: readonly (Omit<HeaderSegment, 'bytes'> & { readonly blob: Blob })[];
}

/**
 * Shards in IndexedDB, in one object store under array keys:
 *
 *     ['bytes', model, shard]   Blob
 *     ['record', model, shard]  ShardRecord; there only when the bytes are
 *     ['model', model]          ModelEntry
 *     ['header', source name]   header of a file
 *
 * Bytes are Blobs, which Chromium reads twice as fast as ArrayBuffers.
 */
export class IndexedDbStore implements ShardStore {
  readonly kind = 'indexeddb';
  readonly #store: UseStore = createStore(DATABASE, 'shards');

  async addModel(model: ModelEntry): Promise<void> {
    await set(['model', model.id], model, this.#store);
  }

  async records(modelId: string): Promise<ReadonlyMap<string, ShardRecord>> {
    const entries = await this.#entries<ShardRecord>('record', modelId);
    return new Map(entries.map(([[, , shard], record]) => [shard ?? '', record]));
  }

  async record(modelId: string, shardId: string): Promise<ShardRecord | undefined> {
    return get<ShardRecord>(['record', modelId, shardId], this.#store);
  }

  async get(modelId: string, shardId: string): Promise<FoundShard | undefined> {
    const blob = await get<Blob>(['bytes', modelId, shardId], this.#store);
    return blob && withHash(new Uint8Array(await blob.arrayBuffer()));
  }

  async put(model: ModelEntry, shards: readonly StoredShard[]): Promise<void> {
    await setMany(shards.map(({ id, bytes }) => [['bytes', model.id, id], new Blob([bytes])]), this.#store);
    await this.putRecords(model, shards);
  }

  /** For shards whose bytes are stored, here or elsewhere. */
  async putRecords(model: ModelEntry, shards: readonly StoredShard[]): Promise<void> {
    const record = ({ bytes, sha256 }: StoredShard): ShardRecord => ({ sha256, byteLength: bytes.length });
    await setMany([[['model', model.id], model], ...shards.map((shard): [string[], ShardRecord] => [['record', model.id, shard.id], record(shard)])], this.#store);
  }

  async getHeader(name: string): Promise<StoredHeader | undefined> {
    const value = await get<HeaderValue>(['header', name], this.#store);
    if (!value) return undefined;
    const segments = value.segments.map(async ({ blob, ...segment }) => ({ ...segment, bytes: new Uint8Array(await blob.arrayBuffer()) }));
    return { ...value, segments: await Promise.all(segments) };
  }

  async putHeader(name: string, header: StoredHeader): Promise<void> {
    const segments = header.segments.map(({ bytes, ...segment }) => ({ ...segment, blob: new Blob([bytes]) }));
    await set(['header', name], { ...header, segments } satisfies HeaderValue, this.#store);
  }

  async removeHeader(name: string): Promise<void> {
    await del(['header', name], this.#store);
  }

  async list(): Promise<StoredModel[]> {
    const models = await this.#entries<ModelEntry>('model');
    return Promise.all(
      models.map(async ([, model]) => {
        const records = [...(await this.records(model.id)).values()];
        return { ...model, shards: records.length, bytes: records.reduce((sum, { byteLength }) => sum + byteLength, 0) };
      }),
    );
  }

  async delete(modelId: string): Promise<void> {
    const headers = await this.#entries<HeaderValue>('header');
    const owned = headers.filter(([, header]) => header.modelId === modelId).map(([key]) => key);
    // Records go with their bytes in one transaction: none may stand for bytes that are gone.
    await this.#store('readwrite', (store) => {
      for (const kind of ['record', 'bytes']) store.delete(keysUnder(kind, modelId));
      for (const key of [['model', modelId], ...owned]) store.delete(key);
      return promisifyRequest(store.transaction);
    });
  }

  /** All entries whose keys begin so, keys with them. */
  #entries<T>(...prefix: readonly string[]): Promise<[key: string[], value: T][]> {
    return this.#store('readonly', async (store) => {
      const range = keysUnder(...prefix);
      const keys: IDBRequest<IDBValidKey[]> = store.getAllKeys(range);
      const values: IDBRequest<T[]> = store.getAll(range);
      await promisifyRequest(store.transaction);
      return values.result.map((value, i) => [(keys.result[i] as string[] | undefined) ?? [], value]);
    });
  }
}

/** Keys that begin with `prefix` and go on: in IndexedDB's order strings come before arrays. */
function keysUnder(...prefix: readonly string[]): IDBKeyRange {
  return IDBKeyRange.bound([...prefix], [...prefix, []], true, true);
}

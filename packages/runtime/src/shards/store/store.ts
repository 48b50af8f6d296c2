/** What is written down of a shard once its bytes are stored. */
export interface ShardRecord {
  /** Hex. */
  readonly sha256: string;
  readonly byteLength: number;
}

/** A model as it is entered in the list. */
export interface ModelEntry {
  readonly id: string;
  /** The model's own name. */
  readonly name: string;
  /** Where it came from: URL or file name. */
  readonly source: string;
  /** What the whole model has. */
  readonly bytesTotal: number;
  readonly shardsTotal: number;
}

/** A model with shards in a store. */
export interface StoredModel extends ModelEntry {
  /** What of it is stored. */
  readonly bytes: number;
  readonly shards: number;
}

/** The parts of a file that were read to understand it, so that the next start needs no network. */
export interface StoredHeader {
  /** Model that the file belongs to. */
  readonly modelId: string;
  readonly version: string | undefined;
  /** Whole size of the file in bytes. */
  readonly size: number | undefined;
  readonly segments: readonly HeaderSegment[];
}

export interface HeaderSegment {
  /** Place in the file. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the bytes, hex. */
  readonly sha256: string;
}

/** A shard as a store has it. */
export interface FoundShard {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the bytes, hex. */
  readonly sha256: string;
}

/** A shard on its way into a store. */
export interface StoredShard {
  readonly id: string;
  /** Not to be changed until they are stored. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

/** Places that keep models. In `opfs`, files of the origin, shards are read fastest, and their index lies in IndexedDB. */
export type StoreKind = 'indexeddb' | 'opfs' | 'none';

/**
 * Where shards are kept between visits. Nothing that comes out is trusted: `ModelStore` compares its hash. Methods reject
 * with what the place throws (`QuotaExceededError` when it is full).
 */
export interface ShardStore {
  readonly kind: StoreKind;
  /** Enters a model in the list. */
  addModel(model: ModelEntry): Promise<void>;
  /** Records of the shards that are there in whole, by shard id. */
  records(modelId: string): Promise<ReadonlyMap<string, ShardRecord>>;
  /** Record of one shard; undefined where it is not there in whole. */
  record(modelId: string, shardId: string): Promise<ShardRecord | undefined>;
  /** A shard's bytes as they are found, with the hash that they have; undefined where there are none. */
  get(modelId: string, shardId: string): Promise<FoundShard | undefined>;
  /**
   * Stores shards: all bytes first, then all records, so that a record never stands for half a shard. Enters the model
   * too: it may have been deleted meanwhile, and bytes that no list shows would never be deleted.
   */
  put(model: ModelEntry, shards: readonly StoredShard[]): Promise<void>;
  /** @param name of the file's source */
  getHeader(name: string): Promise<StoredHeader | undefined>;
  putHeader(name: string, header: StoredHeader): Promise<void>;
  removeHeader(name: string): Promise<void>;
  list(): Promise<StoredModel[]>;
  /** Deletes a model with all its shards and headers; nothing happens where it is not there. */
  delete(modelId: string): Promise<void>;
}

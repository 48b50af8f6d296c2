/** Where shards' bytes may lie in a browser. `opfs-file` reads what `opfs-sync` wrote, as a page has to. */
export type StorageWay = 'indexeddb-blob' | 'indexeddb-buffer' | 'opfs-sync' | 'opfs-file';

/** One measurement: all shards written, or all read, some at a time; `sha256` hashes that many bytes from memory. */
export interface StorageJob {
  readonly action: 'write' | 'read' | 'sha256';
  readonly way: StorageWay;
  readonly shards: number;
  readonly shardBytes: number;
  /** Workers that share the shards … */
  readonly threads: number;
  /** … each with so many at a time. */
  readonly parallel: number;
}

/** What one worker does. */
export interface StoragePart extends Omit<StorageJob, 'shards' | 'threads'> {
  readonly first: number;
  readonly count: number;
}

export interface StorageReport {
  readonly ms: number;
}

export interface StorageRow extends StorageJob, StorageReport {
  /** Whether the operating system had to read from the disk. */
  readonly cold: boolean;
}

/** The result of `bench storage`. */
export interface StorageResult {
  readonly command: 'storage';
  readonly rows: readonly StorageRow[];
}

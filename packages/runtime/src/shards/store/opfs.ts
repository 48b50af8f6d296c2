import type { IndexedDbStore } from './indexeddb.ts';
import { withHash } from './with-hash.ts';
import type { FoundShard, ModelEntry, ShardRecord, ShardStore, StoredHeader, StoredModel, StoredShard } from './store.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const FOLDER = 'gatefold';

/** A file handle in a worker; the DOM's types describe those of pages. */
interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(options: { readonly mode: 'readwrite' | 'read-only' }): Promise<SyncAccess>;
}

interface SyncAccess {
  read(into: Bytes, options: { readonly at: number }): number;
  write(bytes: Bytes, options: { readonly at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  close(): void;
}

/**
 * Shards as files that only this origin sees (OPFS), one a shard: `gatefold/MODEL/SHARD`. What is known of them lies in
 * IndexedDB, as do shards that were stored there before. A record is written after its file: a killed tab leaves no
 * record of half a shard.
 */
export class OpfsStore implements ShardStore {
  readonly kind = 'opfs';
  /** Handles in use: Chromium never settles what was asked of a handle that is garbage collected meanwhile. */
  readonly #held = new Set<FileSystemHandle>();

  private constructor(
    readonly index: IndexedDbStore,
    readonly root: FileSystemDirectoryHandle,
  ) {}

  /** Throws what the browser throws where it has no such files. */
  static async open(index: IndexedDbStore): Promise<OpfsStore> {
    const root = await navigator.storage.getDirectory();
    return new OpfsStore(index, await root.getDirectoryHandle(FOLDER, { create: true }));
  }

  async get(modelId: string, shardId: string): Promise<FoundShard | undefined> {
    const bytes = await this.#withFile(modelId, shardId, {}, readFile).catch(ifFound);
    return bytes ? withHash(bytes) : this.index.get(modelId, shardId);
  }

  async put(model: ModelEntry, shards: readonly StoredShard[]): Promise<void> {
    for (const { id, bytes } of shards) await this.#withFile(model.id, id, { create: true }, (file) => writeFile(file, bytes));
    await this.index.putRecords(model, shards);
  }

  /** Files go first: as long as the model is in the list, what is left of it can be deleted. */
  async delete(modelId: string): Promise<void> {
    await this.root.removeEntry(modelId, { recursive: true }).catch(ifFound);
    await this.index.delete(modelId);
  }

  addModel(model: ModelEntry): Promise<void> {
    return this.index.addModel(model);
  }

  records(modelId: string): Promise<ReadonlyMap<string, ShardRecord>> {
    return this.index.records(modelId);
  }

  record(modelId: string, shardId: string): Promise<ShardRecord | undefined> {
    return this.index.record(modelId, shardId);
  }

  getHeader(name: string): Promise<StoredHeader | undefined> {
    return this.index.getHeader(name);
  }

  putHeader(name: string, header: StoredHeader): Promise<void> {
    return this.index.putHeader(name, header);
  }

  removeHeader(name: string): Promise<void> {
    return this.index.removeHeader(name);
  }

  list(): Promise<StoredModel[]> {
    return this.index.list();
  }

  /** Shards are named after tensors, which an untrusted file names: escaped, no name leaves the folder. */
  async #withFile<T>(modelId: string, shardId: string, options: { readonly create?: boolean }, use: (file: FileSystemFileHandle) => Promise<T>): Promise<T> {
    return this.#holding(await this.root.getDirectoryHandle(modelId, options), async (folder) =>
      this.#holding(await folder.getFileHandle(`${encodeURIComponent(shardId)}.shard`, options), use),
    );
  }

  async #holding<Handle extends FileSystemHandle, T>(handle: Handle, use: (handle: Handle) => Promise<T>): Promise<T> {
    this.#held.add(handle);
    try {
      return await use(handle);
    } finally {
      this.#held.delete(handle);
    }
  }
}

/** Undefined for what is not there; throws any other failure. */
function ifFound(error: unknown): undefined {
  if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
}

function isOfWorker(file: FileSystemFileHandle): file is WorkerFileHandle {
  return 'createSyncAccessHandle' in file;
}

/** Synchronously in a worker, which is fastest; not where another tab has the file open and the browser lets one only. */
async function readFile(file: FileSystemFileHandle): Promise<Bytes> {
  const access = isOfWorker(file) ? await file.createSyncAccessHandle({ mode: 'read-only' }).catch(() => undefined) : undefined;
  if (!access) return new Uint8Array(await (await file.getFile()).arrayBuffer());
  try {
    const bytes = new Uint8Array(access.getSize());
    access.read(bytes, { at: 0 });
    return bytes;
  } finally {
    access.close();
  }
}

async function writeFile(file: FileSystemFileHandle, bytes: Bytes): Promise<void> {
  if (!isOfWorker(file)) {
    const stream = await file.createWritable();
    await stream.write(bytes);
    return stream.close();
  }
  const access = await file.createSyncAccessHandle({ mode: 'readwrite' });
  try {
    access.truncate(bytes.length);
    if (access.write(bytes, { at: 0 }) < bytes.length) throw new DOMException('a file was not written in whole', 'QuotaExceededError');
  } finally {
    access.close();
  }
}

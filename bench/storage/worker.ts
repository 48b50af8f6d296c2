// Stores and reads shards as the runtime's worker would: only a worker has synchronous access to the origin's files.
import { limiter } from '../../packages/runtime/src/shards/limiter.ts';
import type { StoragePart, StorageReport, StorageWay } from './types.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface Way {
  write(key: number, bytes: Bytes): Promise<void>;
  read(key: number): Promise<Bytes>;
}

/** What a worker's file handles have beside what the DOM's types say. */
interface SyncFile {
  readonly createSyncAccessHandle: (options: { readonly mode: 'readwrite' | 'read-only' }) => Promise<SyncAccess>;
}

interface SyncAccess {
  read(into: Bytes, options: { readonly at: number }): number;
  write(bytes: Bytes, options: { readonly at: number }): number;
  getSize(): number;
  close(): void;
}

const database = new Promise<IDBDatabase>((resolve, reject) => {
  const request = indexedDB.open('bench');
  request.addEventListener('upgradeneeded', () => request.result.createObjectStore('shards'));
  request.addEventListener('success', () => resolve(request.result));
  request.addEventListener('error', () => reject(request.error));
});

/** One transaction of one request. */
async function transact<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await database).transaction('shards', mode);
  const request = ask(transaction.objectStore('shards'));
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve(request.result));
    transaction.addEventListener('abort', () => reject(transaction.error));
  });
}

async function put(key: IDBValidKey, value: Blob | Bytes): Promise<void> {
  await transact('readwrite', (store) => store.put(value, key));
}

function get<T>(key: IDBValidKey): Promise<T> {
  return transact<T>('readonly', (store) => store.get(key));
}

/** Kept: Chromium never settles what was asked of a handle that is garbage collected meanwhile. */
const files = new Map<number, Promise<FileSystemFileHandle>>();
const folder = navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('bench', { create: true }));

async function file(key: number): Promise<FileSystemFileHandle> {
  let handle = files.get(key);
  if (!handle) files.set(key, (handle = folder.then((found) => found.getFileHandle(String(key), { create: true }))));
  return handle;
}

async function syncAccess(key: number, mode: 'readwrite' | 'read-only'): Promise<SyncAccess> {
  return ((await file(key)) as unknown as SyncFile).createSyncAccessHandle({ mode });
}

const opfsSync: Way = {
  async write(key, bytes) {
    const access = await syncAccess(key, 'readwrite');
    access.write(bytes, { at: 0 });
    access.close();
  },
  async read(key) {
    const access = await syncAccess(key, 'read-only');
    const bytes = new Uint8Array(access.getSize());
    access.read(bytes, { at: 0 });
    access.close();
    return bytes;
  },
};

const WAYS: Readonly<Record<StorageWay, Way>> = {
  'indexeddb-blob': {
    write: (key, bytes) => put(['blob', key], new Blob([bytes])),
    read: async (key) => new Uint8Array(await (await get<Blob>(['blob', key])).arrayBuffer()),
  },
  'indexeddb-buffer': {
    write: (key, bytes) => put(['buffer', key], bytes),
    read: (key) => get<Bytes>(['buffer', key]),
  },
  'opfs-sync': opfsSync,
  'opfs-file': { ...opfsSync, read: async (key) => new Uint8Array(await (await (await file(key)).getFile()).arrayBuffer()) },
};

/** Bytes that nothing compresses. */
function shard(length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + 65_536)));
  return bytes;
}

async function measure({ action, way, first, count, shardBytes, parallel }: StoragePart): Promise<StorageReport> {
  const limit = limiter(parallel);
  const bytes = action === 'read' ? new Uint8Array() : shard(shardBytes);
  const run = async (key: number) => {
    if (action === 'write') return WAYS[way].write(key, bytes);
    if (action === 'sha256') return void (await crypto.subtle.digest('SHA-256', bytes));
    const found = await WAYS[way].read(key);
    if (found.length !== shardBytes) throw new Error(`${way}: shard ${key} has ${found.length} of ${shardBytes} bytes`);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: count }, (_, i) => limit(() => run(first + i))));
  return { ms: performance.now() - started };
}

measure(JSON.parse(self.name) as StoragePart).then(postMessage, (error: unknown) => postMessage({ error: String(error) }));

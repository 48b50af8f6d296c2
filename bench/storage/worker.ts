// Stores and reads shards as the runtime's worker would: only a worker has synchronous access to the origin's files.
import { expose } from 'comlink';
import { createStore, get, set } from 'idb-keyval';
import { limiter } from '../../packages/runtime/src/shards/limiter.ts';
import type { StorageJob, StorageReport, StorageWay } from './types.ts';

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

const store = createStore('bench', 'shards');

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
    write: (key, bytes) => set(['blob', key], new Blob([bytes]), store),
    read: async (key) => new Uint8Array((await (await get<Blob>(['blob', key], store))?.arrayBuffer()) ?? []),
  },
  'indexeddb-buffer': {
    write: (key, bytes) => set(['buffer', key], bytes, store),
    read: async (key) => (await get<Bytes>(['buffer', key], store)) ?? new Uint8Array(),
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

async function measure({ action, way, shards, shardBytes, parallel }: StorageJob): Promise<StorageReport> {
  const limit = limiter(parallel);
  const bytes = action === 'read' ? new Uint8Array() : shard(shardBytes);
  const run = async (key: number) => {
    if (action === 'write') return WAYS[way].write(key, bytes);
    if (action === 'sha256') return void (await crypto.subtle.digest('SHA-256', bytes));
    const found = await WAYS[way].read(key);
    if (found.length !== shardBytes) throw new Error(`${way}: shard ${key} has ${found.length} of ${shardBytes} bytes`);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: shards }, (_, key) => limit(() => run(key))));
  return { ms: performance.now() - started };
}

const service = { measure };
export type StorageService = typeof service;
expose(service);

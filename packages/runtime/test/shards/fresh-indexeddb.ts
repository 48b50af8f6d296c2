import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';

/** Gives this thread an empty IndexedDB. */
export function freshIndexedDb(): void {
  Object.assign(globalThis, { indexedDB: new IDBFactory(), IDBKeyRange });
}

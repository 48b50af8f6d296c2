import type { Warning } from '../../api/types.ts';
import { IndexedDbStore } from './indexeddb.ts';
import { NO_STORE } from './none.ts';
import type { ShardStore, StoreKind } from './store.ts';

/**
 * The host's store. Where IndexedDB is missing or refuses (Node, some private windows) it is none, with a warning; where
 * the origin has no files (some private windows) shards lie in IndexedDB.
 */
export async function openStore(kind: StoreKind = 'opfs', onWarning?: (warning: Warning) => void): Promise<ShardStore> {
  if (kind === 'none') return NO_STORE;
  const refuse = (why: string): ShardStore => {
    onWarning?.({ code: 'no-store', message: `${why}, so the model is not kept and will be fetched again next time.` });
    return NO_STORE;
  };
  if (!('indexedDB' in globalThis)) return refuse('There is no IndexedDB here');
  try {
    const store = new IndexedDbStore();
    await store.getHeader('');
    return kind === 'opfs' ? await withFiles(store) : store;
  } catch (error) {
    return refuse(`IndexedDB cannot be used (${error instanceof Error ? error.message : String(error)})`);
  }
}

async function withFiles(index: IndexedDbStore): Promise<ShardStore> {
  if (!globalThis.navigator?.storage?.getDirectory) return index;
  const { OpfsStore } = await import('./opfs.ts');
  return OpfsStore.open(index).catch(() => index);
}

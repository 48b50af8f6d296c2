// A worker that reads shards from the store and hashes them, beside the one that has the GPU.
import { expose, transfer } from 'comlink';
import { openStore } from './open.ts';
import type { FoundShard, ShardStore, StoreKind } from './store.ts';

let store: Promise<ShardStore> | undefined;

const reader = {
  /** As `ShardStore.get`. */
  async get(kind: StoreKind, modelId: string, shardId: string): Promise<FoundShard | undefined> {
    store ??= openStore(kind);
    const found = await (await store).get(modelId, shardId);
    return found && transfer(found, [found.bytes.buffer]);
  },
};

export type Reader = typeof reader;
expose(reader);

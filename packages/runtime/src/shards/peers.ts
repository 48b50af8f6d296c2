import type { Shard } from './shard.ts';

/** Other devices that may have shards. What they give is believed by its hash alone. */
export interface ShardPeers {
  /**
   * Bytes of a shard that are right; undefined where nobody gives any.
   * @param isRight compares their SHA-256 with what is known of the shard
   * @param mostMs how long to wait for all of them together; by default as long as one of them gives something
   */
  fetch(shard: Shard, isRight: (bytes: Uint8Array<ArrayBuffer>) => Promise<boolean>, signal: AbortSignal, mostMs?: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

import type { ProgressEvent } from '../api/types.ts';
import type { Shard } from './shard.ts';

/** Events closer together than this tell a person nothing. */
const INTERVAL_MS = 50;

/** Counts what arrives of the given shards and reports it, at most every 50 ms, and once when all is there. */
export class ProgressMeter {
  readonly #bytesTotal: number;
  #bytes = 0;
  #bytesFromStore = 0;
  #shards = 0;
  #reportedAt = -Infinity;

  constructor(
    readonly shards: readonly Shard[],
    readonly onProgress: (event: ProgressEvent) => void,
  ) {
    this.#bytesTotal = shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Bytes that the network brought, of whatever shard. */
  addFetched(bytes: number): void {
    this.#bytes += bytes;
    this.#report();
  }

  addFromStore(bytes: number): void {
    this.#bytesFromStore += bytes;
    this.#bytes += bytes;
  }

  /** A shard is there in whole. */
  addShard(): void {
    this.#shards++;
    // What was under way before has not been counted here.
    if (this.#shards === this.shards.length) this.#bytes = this.#bytesTotal;
    this.#report();
  }

  #report(): void {
    const now = performance.now();
    if (now - this.#reportedAt < INTERVAL_MS && this.#shards < this.shards.length) return;
    this.#reportedAt = now;
    this.onProgress({
      phase: 'fetch',
      // What is fetched twice, or as padding between ranges, must not lead past the end.
      bytes: Math.min(this.#bytes, this.#bytesTotal),
      bytesTotal: this.#bytesTotal,
      shards: this.#shards,
      shardsTotal: this.shards.length,
      bytesFromStore: this.#bytesFromStore,
    });
  }
}

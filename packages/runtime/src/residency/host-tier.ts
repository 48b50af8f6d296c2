import type { Shard, ShardConsumer, ShardReader, ShardStats } from '../shards/shard.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Verified shards that are kept in memory beside the GPU, up to a budget: what was asked for longest ago goes first.
 * Anything else comes from the reader behind it.
 */
export class HostTier implements ShardReader {
  /** Oldest first. */
  readonly #kept = new Map<string, Bytes>();
  #bytes = 0;
  /** Shards that were found here. */
  hits = 0;

  /** @param budget bytes */
  constructor(
    readonly inner: ShardReader,
    readonly budget: number,
  ) {}

  get plan(): ShardReader['plan'] {
    return this.inner.plan;
  }

  get stats(): ShardStats {
    return this.inner.stats;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  has(shard: Shard): boolean {
    return this.#kept.has(shard.id);
  }

  get isKeeping(): boolean {
    return this.inner.isKeeping;
  }

  flush(): Promise<void> {
    return this.inner.flush();
  }

  isStored(shard: Shard): boolean {
    return this.has(shard) || this.inner.isStored(shard);
  }

  async read(shard: Shard, options?: { signal?: AbortSignal }): Promise<Bytes> {
    return this.#find(shard) ?? this.#keep(shard, await this.inner.read(shard, options));
  }

  /** Those that are here come first. */
  async readAll(shards: readonly Shard[], onShard: ShardConsumer, options?: { signal?: AbortSignal }): Promise<void> {
    const elsewhere = shards.filter((shard) => !this.has(shard));
    for (const shard of shards) {
      const bytes = this.#find(shard);
      if (bytes) await onShard(shard, bytes);
    }
    await this.inner.readAll(elsewhere, (shard, bytes) => onShard(shard, this.#keep(shard, bytes)), options);
  }

  #find(shard: Shard): Bytes | undefined {
    const bytes = this.#kept.get(shard.id);
    if (!bytes) return undefined;
    this.hits++;
    this.#kept.delete(shard.id);
    this.#kept.set(shard.id, bytes);
    return bytes;
  }

  #keep(shard: Shard, bytes: Bytes): Bytes {
    if (bytes.length > this.budget || this.#kept.has(shard.id)) return bytes;
    this.#kept.set(shard.id, bytes);
    this.#bytes += bytes.length;
    for (const [id, oldest] of this.#kept) {
      if (this.#bytes <= this.budget) break;
      this.#kept.delete(id);
      this.#bytes -= oldest.length;
    }
    return bytes;
  }
}

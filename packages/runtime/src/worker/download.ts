import type { DownloadEvent } from '../api/types.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { Shard, ShardReader, ShardStats } from '../shards/shard.ts';

export interface DownloadOptions {
  readonly model: LoadedModel;
  readonly reader: ShardReader;
  /** How often experts are used, by shard id, as far as is known: the busiest come first. */
  readonly uses: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
  readonly onEvent: (event: DownloadEvent) => void;
}

const INTERVAL_MS = 200;

/**
 * Brings what of the model is not on this device yet, and puts experts into slots that are free. Stops at the signal;
 * the next call goes on from there. Resolves when all is stored. Throws what the reader throws, and the signal's reason.
 */
export async function download({ model, reader, uses, signal, onEvent }: DownloadOptions): Promise<void> {
  const { shards } = reader.plan;
  const isHere = (shard: Shard) => reader.isStored(shard) || (!reader.isKeeping && !model.hasRoomFor(shard));
  const wanted = shards.filter((shard) => !isHere(shard) || model.hasRoomFor(shard));
  const inOrder = wanted.toSorted((a, b) => (uses.get(b.id) ?? 0) - (uses.get(a.id) ?? 0));
  const rates = new Rates(reader.stats);
  const here = new Set(shards.filter((shard) => !wanted.includes(shard)));
  const bytesTotal = sum(shards);
  const report = () => onEvent({ bytes: sum(here), bytesTotal, shards: here.size, shardsTotal: shards.length, ...rates.now() });
  report();
  let reportedAt = performance.now();
  await reader.readAll(
    inOrder,
    async (shard, bytes) => {
      await model.fill(shard, bytes);
      here.add(shard);
      if (performance.now() - reportedAt < INTERVAL_MS) return;
      reportedAt = performance.now();
      report();
    },
    { signal },
  );
  await reader.flush();
  report();
}

function sum(shards: Iterable<Shard>): number {
  let bytes = 0;
  for (const { byteLength } of shards) bytes += byteLength;
  return bytes;
}

/** Bytes a second since the last look. */
class Rates {
  #at = performance.now();
  #fetched: number;
  #read: number;

  constructor(readonly stats: ShardStats) {
    this.#fetched = stats.bytesFetched;
    this.#read = stats.bytesFromStore;
  }

  now(): Pick<DownloadEvent, 'networkBytesPerSecond' | 'diskBytesPerSecond'> {
    const { bytesFetched, bytesFromStore } = this.stats;
    const seconds = Math.max(1e-3, (performance.now() - this.#at) / 1000);
    const rates = { networkBytesPerSecond: (bytesFetched - this.#fetched) / seconds, diskBytesPerSecond: (bytesFromStore - this.#read) / seconds };
    this.#at = performance.now();
    [this.#fetched, this.#read] = [bytesFetched, bytesFromStore];
    return rates;
  }
}

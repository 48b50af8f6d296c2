import type { ShardPeers } from './peers.ts';

/** A byte range of one of the model's files. */
export interface ShardRange {
  /** Index into the model's files. */
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  /** The tensor that the range belongs to. */
  readonly tensor: string;
  /** First row of the tensor that the range holds (a large tensor is cut at rows); 0 for whole tensors and experts. */
  readonly firstRow: number;
  /** Rows held: of the whole tensor, or of this expert's matrix. */
  readonly rows: number;
}

/**
 * The unit that is fetched, stored, verified and made resident: one expert of one layer (its gate, up and down
 * together), or one piece of the trunk.
 */
export interface Shard {
  /** Stable within a model, e.g. `layer.3.expert.17`, `layer.3.trunk`, `token_embd.weight.2`. */
  readonly id: string;
  readonly kind: 'trunk' | 'expert';
  /** Layer index; undefined for trunk pieces outside the layers. */
  readonly layer?: number;
  /** Expert index within its layer. */
  readonly expert?: number;
  readonly ranges: readonly ShardRange[];
  /** Sum of the ranges' lengths: the ranges' bytes one after the other are the shard's bytes. */
  readonly byteLength: number;
}

/** All shards of a model. Expert shards: one for every (layer, expert). */
export interface ShardPlan {
  /** Identity of the model: stable over reloads, different for a different file. Key prefix in the store. */
  readonly modelId: string;
  readonly shards: readonly Shard[];
}

/** Gets a shard's verified bytes, which it must not change. */
export type ShardConsumer = (shard: Shard, bytes: Uint8Array<ArrayBuffer>) => Promise<void> | void;

/** Where shards' verified bytes come from: store first, then the sources. Implemented by `shards/loader.ts`. */
export interface ShardReader {
  readonly plan: ShardPlan;
  /** Verified bytes of a shard: its ranges one after the other. */
  read(shard: Shard, options?: { signal?: AbortSignal }): Promise<Uint8Array<ArrayBuffer>>;
  /** Brings several to a consumer that is awaited before it gets the next. Neighbours are fetched together. */
  readAll(shards: readonly Shard[], onShard: ShardConsumer, options?: { signal?: AbortSignal }): Promise<void>;
  /** Whether a shard is kept on this device. */
  isStored(shard: Shard): boolean;
  /** Whether what is read is kept on this device. */
  readonly isKeeping: boolean;
  /** Waits until what was read is stored. */
  flush(): Promise<void>;
  readonly stats: ShardStats;
}

/** A reader that gives shards to other devices, and takes them from there. */
export interface SharingReader extends ShardReader {
  /** Asked before the sources. */
  peers: ShardPeers | undefined;
  /** Bytes of a shard that lies on this device, in the store or in a file; undefined where it would have to be fetched. */
  readHere(shard: Shard): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

export interface ShardStats {
  /** Bytes that came over the network or from the source file, header included. */
  bytesFetched: number;
  /** Shards that came from the source; the others came from the store. */
  shardsFetched: number;
  bytesFromPeers: number;
  bytesFromStore: number;
  shardsFromStore: number;
}

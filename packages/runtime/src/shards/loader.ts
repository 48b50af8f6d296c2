import type { ProgressEvent, Warning } from '../api/types.ts';
import { coalesce } from './coalesce.ts';
import { ShardHashError } from './errors.ts';
import { sha256 } from './hash.ts';
import { limiter } from './limiter.ts';
import type { ShardPeers } from './peers.ts';
import { ProgressMeter } from './progress-meter.ts';
import type { Shard, ShardConsumer, ShardPlan, ShardStats, SharingReader } from './shard.ts';
import type { ByteSource } from './source.ts';
import { abortable } from './sources/abort.ts';
import { HttpSource } from './sources/http.ts';
import type { HashedShard, ModelStore } from './store/model-store.ts';
import { withLocks } from './store/shard-locks.ts';
import { Transfer, type Joined } from './transfer.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_SHARDS = 64;
const READ_AHEAD_BYTES = 64 * 1024 * 1024;
/** Who reads one shard alone may be in the middle of an answer, and waits no longer for peers before it asks the server. */
const PEERS_MS = 200;

export interface LoaderOptions {
  /** SHA-256 in hex by shard id. */
  readonly manifest?: Readonly<Record<string, string>>;
  /** Requests at a time; default 6, which is what browsers allow an HTTP/1.1 server. */
  readonly parallel?: number;
  /** Shards that are missing are fetched together up to this, so that their neighbouring ranges become one request; default 8 MiB. */
  readonly batchBytes?: number;
  /** Bytes that `loadAll` holds ahead of the consumer; default 64 MiB. */
  readonly readAheadBytes?: number;
  readonly onWarning?: (warning: Warning) => void;
  readonly onProgress?: (event: ProgressEvent) => void;
  /** Bytes that were fetched before, for the header: counted in `stats`. */
  readonly headerBytesFetched?: number;
}

/** Brings shards: from the store where they are there and whole, else from peers or the files, verified and then stored. */
export class ShardLoader implements SharingReader {
  readonly stats: ShardStats;
  peers: ShardPeers | undefined;
  readonly #limit: ReturnType<typeof limiter>;
  readonly #transfers = new Map<string, Transfer>();
  #progress: ProgressMeter | undefined;

  /** @param files the model's files, as the plan's ranges number them */
  constructor(
    readonly plan: ShardPlan,
    readonly files: readonly ByteSource[],
    readonly store: ModelStore,
    readonly options: LoaderOptions = {},
  ) {
    this.stats = { bytesFetched: options.headerBytesFetched ?? 0, shardsFetched: 0, bytesFromStore: 0, shardsFromStore: 0, bytesFromPeers: 0 };
    this.#limit = limiter(options.parallel ?? 6);
  }

  /**
   * Verified bytes of one shard. Concurrent reads of a shard share its bytes: do not change them.
   * Throws `SourceError`, `ShardHashError`, and the signal's reason.
   */
  async read(shard: Shard, options: { signal?: AbortSignal } = {}): Promise<Bytes> {
    options.signal?.throwIfAborted();
    const { bytes, leave } = this.#transfer([shard]).join(shard);
    try {
      return await abortable(bytes, options.signal);
    } finally {
      leave();
    }
  }

  /** As `readAll`, with progress; resolves when all are stored, too. */
  async loadAll(shards: readonly Shard[], onShard: ShardConsumer, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { onProgress } = this.options;
    this.#progress = onProgress && new ProgressMeter(shards, onProgress);
    try {
      await this.store.withReaders(shards, () => this.readAll(shards, onShard, options));
      await this.store.flush();
    } finally {
      this.#progress = undefined;
    }
  }

  get isKeeping(): boolean {
    return this.store.writable;
  }

  flush(): Promise<void> {
    return this.store.flush();
  }

  isStored(shard: Shard): boolean {
    return this.store.has(shard);
  }

  async readHere(shard: Shard): Promise<Bytes | undefined> {
    const kept = await this.store.read(shard);
    if (kept || this.files.some((file) => file instanceof HttpSource)) return kept;
    return (await this.#fetch([shard], new AbortController().signal))[0];
  }

  /**
   * Brings all shards, in order, to a consumer that is awaited before it gets the next; reads a bounded number of
   * bytes ahead of it. Resolves when all are consumed. Throws as `read`, and what the consumer throws.
   */
  async readAll(shards: readonly Shard[], onShard: ShardConsumer, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { readAheadBytes = READ_AHEAD_BYTES } = this.options;
    const ahead: (Joined & { readonly shard: Shard })[] = [];
    let bytesAhead = 0;
    let next = 0;
    const readAhead = () => {
      while (next < shards.length && bytesAhead < readAheadBytes && ahead.length < BATCH_SHARDS) {
        const batch = this.#batch(shards, next);
        next += batch.length;
        const transfer = this.#transfer(batch);
        for (const shard of batch) {
          ahead.push({ shard, ...transfer.join(shard) });
          bytesAhead += shard.byteLength;
        }
      }
    };
    options.signal?.throwIfAborted();
    try {
      readAhead();
      for (let first = ahead[0]; first; first = ahead[0]) {
        const { shard, bytes, leave } = first;
        await onShard(shard, await abortable(bytes, options.signal));
        options.signal?.throwIfAborted();
        leave();
        ahead.shift();
        bytesAhead -= shard.byteLength;
        readAhead();
      }
    } finally {
      for (const { leave } of ahead) leave();
    }
  }

  /** The shards from `start` on that are best read together: one that is stored, or several that are not. */
  #batch(shards: readonly Shard[], start: number): readonly Shard[] {
    const { batchBytes = BATCH_BYTES } = this.options;
    const isLone = (shard: Shard) => this.store.has(shard) || this.#transfers.has(shard.id);
    let end = start;
    let bytes = 0;
    for (; end < shards.length && end - start < BATCH_SHARDS; end++) {
      const shard = shards[end];
      if (!shard) break;
      bytes += shard.byteLength;
      if (end > start && (bytes > batchBytes || isLone(shard))) break;
      if (isLone(shard)) return [shard];
    }
    return shards.slice(start, end);
  }

  /** Starts to bring shards, or joins where the first is on its way already. */
  #transfer(batch: readonly Shard[]): Transfer {
    const known = batch[0] && this.#transfers.get(batch[0].id);
    if (known) return known;
    const transfer = new Transfer(
      (signal) => this.#bring(batch, signal),
      () => {
        for (const { id } of batch) if (this.#transfers.get(id) === transfer) this.#transfers.delete(id);
      },
    );
    for (const { id } of batch) this.#transfers.set(id, transfer);
    return transfer;
  }

  async #bring(batch: readonly Shard[], signal: AbortSignal): Promise<ReadonlyMap<string, Bytes>> {
    const { found, missing } = await this.#readStored(batch);
    if (missing.length > 0) for (const [id, bytes] of await this.#bringFromAfar(missing, signal)) found.set(id, bytes);
    return found;
  }

  async #readStored(shards: readonly Shard[]): Promise<{ readonly found: Map<string, Bytes>; readonly missing: readonly Shard[] }> {
    const found = new Map<string, Bytes>();
    const missing: Shard[] = [];
    for (const shard of shards) {
      const bytes = await this.store.read(shard);
      if (!bytes) missing.push(shard);
      else {
        found.set(shard.id, bytes);
        this.stats.bytesFromStore += bytes.length;
        this.stats.shardsFromStore++;
        this.#progress?.addFromStore(bytes.length);
        this.#progress?.addShard();
      }
    }
    return { found, missing };
  }

  /** Of several tabs that want a shard one fetches it, and the others read what it has stored. */
  #bringFromAfar(shards: readonly Shard[], signal: AbortSignal): Promise<ReadonlyMap<string, Bytes>> {
    const names = this.store.writable ? shards.map(({ id }) => `gatefold/${this.plan.modelId}/${id}`) : [];
    return withLocks(names, signal, async (hold) => {
      await this.store.lookAgain(shards);
      const { found, missing } = await this.#readStored(shards);
      if (missing.length === 0) return found;
      const fetched = await this.#fetchVerified(missing, signal);
      hold(this.store.written(missing));
      for (const { shard, bytes } of fetched) found.set(shard.id, bytes);
      return found;
    });
  }

  async #fetchVerified(shards: readonly Shard[], signal: AbortSignal): Promise<readonly HashedShard[]> {
    await this.store.room();
    const ask = async (mostMs?: number) => (await Promise.all(shards.map((shard) => this.#fromPeers(shard, signal, mostMs)))).filter((shard) => shard !== undefined);
    const isAlone = !shards[1];
    let given = await ask(isAlone ? PEERS_MS : undefined);
    let missing = shards.filter((shard) => !given.some((hashed) => hashed.shard === shard));
    const fetched = await this.#fetch(missing, signal).catch(async (error: unknown) => {
      given = isAlone ? await ask() : [];
      if (!given[0]) throw error;
      return (missing = []);
    });
    const hashed = [...given, ...(await Promise.all(missing.map((shard, i) => this.#verify(shard, fetched[i] ?? new Uint8Array(0), signal))))];
    this.store.write(hashed);
    for (let i = 0; i < hashed.length; i++) this.#progress?.addShard();
    this.stats.shardsFetched += missing.length;
    return hashed;
  }

  /** A peer is only asked where it is known what must come. */
  async #fromPeers(shard: Shard, signal: AbortSignal, mostMs?: number): Promise<HashedShard | undefined> {
    const expected = this.#expected(shard);
    if (expected === undefined) return undefined;
    const bytes = await this.peers?.fetch(shard, async (given) => (await sha256(given)) === expected, signal, mostMs);
    if (!bytes) return undefined;
    this.stats.bytesFromPeers += bytes.length;
    this.#progress?.addFetched(bytes.length);
    return { shard, bytes, sha256: expected };
  }

  #expected(shard: Shard): string | undefined {
    return this.options.manifest?.[shard.id] ?? this.store.recordedHash(shard);
  }

  /** Checks a shard against its manifest or its first fetch; one that differs is fetched once more. */
  async #verify(shard: Shard, bytes: Bytes, signal: AbortSignal): Promise<HashedShard> {
    const promised = this.options.manifest?.[shard.id];
    const expected = this.#expected(shard);
    if (expected === undefined && !this.store.writable) return { shard, bytes, sha256: '' };
    const hash = await sha256(bytes);
    if (expected === undefined || hash === expected) return { shard, bytes, sha256: hash };
    const [again = bytes] = await this.#fetch([shard], signal, true);
    const hashAgain = await sha256(again);
    if (hashAgain === expected) return { shard, bytes: again, sha256: hashAgain };
    const url = this.files[shard.ranges[0]?.file ?? 0]?.name ?? '';
    throw new ShardHashError(shard.id, url, expected, hashAgain, promised === undefined ? 'first fetch' : 'manifest');
  }

  async #fetch(shards: readonly Shard[], signal: AbortSignal, fresh = false): Promise<readonly Bytes[]> {
    const whole = shards.map(({ byteLength }) => new Uint8Array(byteLength));
    const onBytes = (bytes: number) => {
      this.stats.bytesFetched += bytes;
      this.#progress?.addFetched(bytes);
    };
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const fetches = coalesce(shards).map(({ file, offset, length, parts }) =>
      this.#limit(async () => {
        const source = this.files[file];
        if (!source) throw new TypeError(`the model has no file ${file}`);
        const bytes = await source.read(offset, length, { signal: either, onBytes, fresh });
        for (const { shard, inShard, inSpan, length: size } of parts) whole[shard]?.set(bytes.subarray(inSpan, inSpan + size), inShard);
      }),
    );
    try {
      await Promise.all(fetches);
    } finally {
      stop.abort();
    }
    return whole;
  }
}

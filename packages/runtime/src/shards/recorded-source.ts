import { SourceError } from './errors.ts';
import type { ByteSource } from './source.ts';
import type { ShardStore, StoredHeader } from './store/store.ts';

/** Contiguous bytes that were read. */
interface Segment {
  readonly offset: number;
  readonly parts: Uint8Array<ArrayBuffer>[];
  end: number;
}

type ReadOptions = NonNullable<Parameters<ByteSource['read']>[2]>;

/**
 * A source that remembers what is read until `keep`: the header. The next time the same reads are answered from the
 * store, without the network. Reads of anything else go to the inner source, which must still have the same version.
 */
export class RecordedSource implements ByteSource {
  readonly name: string;
  readonly #inner: ByteSource;
  readonly #store: ShardStore;
  /** This source and all its siblings: they are kept together. */
  readonly #family: Set<RecordedSource>;
  /** Undefined once kept. */
  #segments: Segment[] | undefined = [];
  #replayed: Promise<StoredHeader | undefined> | undefined;
  #known: StoredHeader | undefined;
  #bytesFetched = 0;

  constructor(inner: ByteSource, store: ShardStore, family = new Set<RecordedSource>()) {
    this.name = inner.name;
    this.#inner = inner;
    this.#store = store;
    this.#family = family.add(this);
  }

  get size(): number | undefined {
    return this.#known?.size ?? this.#inner.size;
  }

  /** Bytes that this source and its siblings had to read from their inner sources until `keep`. */
  get headerBytesFetched(): number {
    return [...this.#family].reduce((sum, source) => sum + source.#bytesFetched, 0);
  }

  async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    options?.signal?.throwIfAborted();
    const known = await this.#replay();
    for (const segment of known?.segments ?? []) {
      const start = offset - segment.offset;
      if (start >= 0 && start + length <= segment.bytes.length) return segment.bytes.slice(start, start + length);
    }
    const bytes = await this.#inner.read(offset, length, options);
    if (known) await this.#checkVersion(known);
    this.#record(offset, bytes);
    return bytes;
  }

  sibling(fileName: string): RecordedSource {
    return new RecordedSource(this.#inner.sibling(fileName), this.#store, this.#family);
  }

  async version(): Promise<string | undefined> {
    const known = await this.#replay();
    return known ? known.version : this.#inner.version();
  }

  /** Ends the recording of this source and its siblings; stores what is new. */
  async keep(modelId: string): Promise<void> {
    await Promise.all(
      Array.from(this.#family, async (source) => {
        const segments = source.#segments ?? [];
        const old = source.#known?.segments ?? [];
        source.#segments = undefined;
        if (segments.length === 0) return;
        const read = await Promise.all(segments.map(async ({ offset, parts }) => ({ offset, bytes: new Uint8Array(await new Blob(parts).arrayBuffer()) })));
        await source.#store.putHeader(source.name, { modelId, version: await source.version(), size: source.size, segments: [...old, ...read] });
      }),
    );
  }

  async #replay(): Promise<StoredHeader | undefined> {
    // A store that cannot be read is as good as an empty one.
    this.#replayed ??= this.#store.getHeader(this.name).catch(() => undefined);
    this.#known = await this.#replayed;
    return this.#known;
  }

  #record(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#segments) return;
    this.#bytesFetched += bytes.length;
    const last = this.#segments.at(-1);
    if (last?.end === offset) {
      last.parts.push(bytes);
      last.end += bytes.length;
    } else {
      this.#segments.push({ offset, parts: [bytes], end: offset + bytes.length });
    }
  }

  async #checkVersion({ version, size }: StoredHeader): Promise<void> {
    const now = await this.#inner.version();
    const sameVersion = version === undefined || now === undefined || version === now;
    const sameSize = size === undefined || this.#inner.size === undefined || size === this.#inner.size;
    if (sameVersion && sameSize) return;
    await this.#store.removeHeader(this.name);
    throw new SourceError('source-changed', this.name, 'the file has changed since a part of it was stored');
  }
}

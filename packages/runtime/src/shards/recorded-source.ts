import { SourceError } from './errors.ts';
import { sha256 } from './hash.ts';
import type { ByteSource, ReadOptions } from './source.ts';
import type { HeaderSegment, ShardStore, StoredHeader } from './store/store.ts';

/** Contiguous bytes that were read. */
interface Recording {
  readonly offset: number;
  readonly parts: Uint8Array<ArrayBuffer>[];
  end: number;
}

/**
 * A source that remembers what is read until `keep`: the header, and what weights came with it. From then on, and the next
 * time from the store, reads of these bytes are answered without the network. Reads of anything else go to the inner
 * source, which must still have the same version.
 */
export class RecordedSource implements ByteSource {
  readonly name: string;
  readonly #inner: ByteSource;
  readonly #store: ShardStore;
  /** This source and all its siblings: they are kept together. */
  readonly #family: Set<RecordedSource>;
  /** Undefined once kept. */
  #recordings: Recording[] | undefined = [];
  #replaying: Promise<StoredHeader | undefined> | undefined;
  #known: StoredHeader | undefined;

  constructor(inner: ByteSource, store: ShardStore, family = new Set<RecordedSource>()) {
    this.name = inner.name;
    this.#inner = inner;
    this.#store = store;
    this.#family = family.add(this);
  }

  get size(): number | undefined {
    return this.#known?.size ?? this.#inner.size;
  }

  async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    options?.signal?.throwIfAborted();
    const known = await this.#replay();
    for (const segment of (options?.fresh ? undefined : known?.segments) ?? []) {
      const start = offset - segment.offset;
      if (start < 0 || start >= segment.bytes.length) continue;
      const found = segment.bytes.slice(start, start + length);
      if (found.length === length) return found;
      const rest = await this.read(offset + found.length, length - found.length, options);
      return new Uint8Array(await new Blob([found, rest]).arrayBuffer());
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

  /** Ends the recording of this source and its siblings; stores what is new. Throws what the store throws. */
  async keep(modelId: string): Promise<void> {
    await Promise.all(Array.from(this.#family, (source) => source.#keep(modelId)));
  }

  async #keep(modelId: string): Promise<void> {
    const recordings = this.#recordings ?? [];
    this.#recordings = undefined;
    if (recordings.length === 0) return;
    const segments = await Promise.all(recordings.map(toSegment));
    const version = await this.version();
    const header = { modelId, version, size: this.size, segments: [...(this.#known?.segments ?? []), ...segments] };
    this.#replaying = Promise.resolve(header);
    await this.#store.putHeader(this.name, header);
  }

  async #replay(): Promise<StoredHeader | undefined> {
    // A store that cannot be read is as good as an empty one.
    this.#replaying ??= this.#store
      .getHeader(this.name)
      .then((header) => header && wholeHeader(header))
      .catch(() => undefined);
    this.#known = await this.#replaying;
    return this.#known;
  }

  #record(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#recordings) return;
    const last = this.#recordings.at(-1);
    if (last?.end === offset) {
      last.parts.push(bytes);
      last.end += bytes.length;
    } else {
      this.#recordings.push({ offset, parts: [bytes], end: offset + bytes.length });
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

async function toSegment({ offset, parts }: Recording): Promise<HeaderSegment> {
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return { offset, bytes, sha256: await sha256(bytes) };
}

/** The header where all of it has its hash; one that is damaged is as good as none. */
async function wholeHeader(header: StoredHeader): Promise<StoredHeader | undefined> {
  const hashes = await Promise.all(header.segments.map(({ bytes }) => sha256(bytes)));
  return header.segments.every((segment, i) => segment.sha256 === hashes[i]) ? header : undefined;
}

import { GatefoldError } from '../../src/errors.ts';
import type { ByteSource } from '../../src/shards/source.ts';

/** Files held in memory, each as a source; counts what is read. */
export class MemorySource implements ByteSource {
  /** Ranges that were read, in order. */
  readonly reads: { readonly offset: number; readonly length: number }[] = [];

  constructor(
    readonly name: string,
    readonly bytes: Uint8Array<ArrayBuffer>,
    /** The other files of the folder. */
    readonly folder: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {},
    /** Whether the size is known before the first read. */
    readonly sizeKnown = true,
  ) {}

  get size(): number | undefined {
    return this.sizeKnown || this.reads.length > 0 ? this.bytes.length : undefined;
  }

  read(offset: number, length: number, options?: { signal?: AbortSignal; onBytes?: (bytes: number) => void }): Promise<Uint8Array<ArrayBuffer>> {
    this.reads.push({ offset, length });
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
    if (offset + length > this.bytes.length) return Promise.reject(new GatefoldError('source-short', `${this.name} is shorter than ${offset + length}`));
    options?.onBytes?.(length);
    // A whole file is not copied, so that what a reader allocates can be measured.
    return Promise.resolve(length === this.bytes.length ? this.bytes : this.bytes.slice(offset, offset + length));
  }

  sibling(fileName: string): MemorySource {
    const bytes = this.folder[fileName];
    if (!bytes) throw new Error('no such file');
    return new MemorySource(fileName, bytes, this.folder, this.sizeKnown);
  }

  version(): Promise<string | undefined> {
    return Promise.resolve(undefined);
  }
}

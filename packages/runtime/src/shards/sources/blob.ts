import { SourceError } from '../errors.ts';
import type { ByteSource, ReadOptions } from '../source.ts';

/** A File or Blob; `files` are the files that were opened with it. */
export class BlobSource implements ByteSource {
  readonly name: string;

  constructor(
    readonly blob: Blob,
    readonly files: readonly File[] = [],
  ) {
    this.name = blob instanceof File ? blob.name : 'the given Blob';
  }

  get size(): number {
    return this.blob.size;
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    options.signal?.throwIfAborted();
    if (offset + length > this.size) {
      throw new SourceError('source-truncated', this.name, `bytes ${offset} to ${offset + length} are needed, but the file ends at ${this.size}`);
    }
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(await this.blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      // Browsers refuse to read a File that was written to or deleted since it was picked.
      throw new SourceError('source-changed', this.name, 'the file can no longer be read: it was changed or removed', undefined, { cause });
    }
    options.signal?.throwIfAborted();
    options.onBytes?.(length);
    return bytes;
  }

  sibling(fileName: string): BlobSource {
    const file = this.files.find(({ name }) => name === fileName);
    if (!file) throw new SourceError('source-sibling', fileName, 'this part of the model was not given');
    return new BlobSource(file, this.files);
  }

  version(): Promise<string | undefined> {
    return Promise.resolve(this.blob instanceof File ? `modified ${this.blob.lastModified} size ${this.size}` : undefined);
  }
}

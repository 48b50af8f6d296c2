import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SourceError } from '../errors.ts';
import type { ByteSource, ReadOptions } from '../source.ts';

/** A file on the disk, for Node. Opened for each read, so that there is nothing to close. */
export class PathSource implements ByteSource {
  readonly name: string;
  readonly #path: string;
  #size: number | undefined;
  #version: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.name = basename(path);
  }

  get size(): number | undefined {
    return this.#size;
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    options.signal?.throwIfAborted();
    const file = await open(this.#path).catch((cause: unknown) => {
      throw new SourceError('source-missing', this.#path, 'the file cannot be opened', undefined, { cause });
    });
    try {
      const { size, mtimeMs } = await file.stat();
      const version = `modified ${mtimeMs} size ${size}`;
      this.#size ??= size;
      this.#version ??= version;
      if (version !== this.#version) throw new SourceError('source-changed', this.#path, 'the file was written to while it was read');
      if (offset + length > size) throw new SourceError('source-truncated', this.#path, `bytes ${offset} to ${offset + length} are needed, but the file ends at ${size}`);
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw new SourceError('source-changed', this.#path, 'the file got shorter while it was read');
        filled += bytesRead;
        options.signal?.throwIfAborted();
      }
      options.onBytes?.(length);
      return bytes;
    } finally {
      await file.close();
    }
  }

  sibling(fileName: string): PathSource {
    return new PathSource(join(dirname(this.#path), fileName));
  }

  async version(): Promise<string | undefined> {
    if (this.#version === undefined) await this.read(0, 0);
    return this.#version;
  }
}

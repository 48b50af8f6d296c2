import type { ByteSource } from '../../shards/source.ts';
import { decodeStrictly, decodeText } from './decode-text.ts';
import { GgufError, type GgufErrorCode, type GgufErrorFields } from './errors.ts';
import { MAX_HEADER_BYTES } from './limits.ts';

/** First request for the header: enough for models with small vocabularies, little enough to waste. Doubles from there. */
const FIRST_READ_BYTES = 128 * 1024;

/** Magic, version and the two counts. Asked for alone where the file's size is still unknown, since every file has them. */
const FIXED_HEADER_BYTES = 24;

/** Thrown inside when a read runs past the bytes at hand; never leaves `HeaderBytes.parse`. */
class NeedBytes {
  constructor(readonly end: number) {}
}

export interface HeaderReadOptions {
  readonly signal?: AbortSignal;
  /** Called with byte counts as they arrive. */
  readonly onBytes?: (bytes: number) => void;
  /** Size of the first request, 128 KiB by default. */
  readonly firstReadBytes?: number;
}

/**
 * The first bytes of a file, fetched as they are needed, and a position in them. All reads are little endian and
 * checked: past the file's end they throw `GgufError` 'gguf-truncated', past the header's limit 'gguf-limit'.
 */
export class HeaderBytes {
  /** Position of the next read. */
  offset = 0;
  /** Start of the last read, for messages. */
  #last = 0;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);

  constructor(
    readonly source: ByteSource,
    readonly options: HeaderReadOptions,
  ) {}

  /** Runs `read`, again from the same position with more bytes whenever it runs out of them. It must not await. */
  async parse<T>(read: () => T): Promise<T> {
    const start = this.offset;
    for (;;) {
      try {
        return read();
      } catch (error) {
        if (!(error instanceof NeedBytes)) throw error;
        this.offset = start;
        await this.#fetchTo(error.end);
      }
    }
  }

  fail(code: GgufErrorCode, what: string, problem: string, fields: GgufErrorFields = {}): never {
    throw new GgufError(code, this.source.name, what, problem, { offset: this.#last, ...fields });
  }

  /** Takes the next `length` bytes; their start. */
  take(length: number, what: string): number {
    const start = this.offset;
    this.#last = start;
    this.#checkEnd(start + length, what);
    if (start + length > this.#bytes.length) throw new NeedBytes(start + length);
    this.offset = start + length;
    return start;
  }

  /** Refuses a count whose elements, of at least `minBytes` each, cannot be in what the file has left. */
  checkCount(count: number | bigint, minBytes: number, limit: number, what: string): number {
    if (count > limit) this.fail('gguf-limit', what, `is ${count}, more than the limit of ${limit}`, { limit, value: count });
    this.#checkEnd(this.offset + Number(count) * minBytes, what);
    return Number(count);
  }

  /** Goes past a length-prefixed string; its length in bytes. */
  skipString(limit: number, what: string): number {
    const at = this.take(8, what);
    const length = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (length > limit) this.fail('gguf-limit', what, `is longer than the limit of ${limit} bytes`, { limit, value: this.#view.getBigUint64(at, true) });
    this.take(length, what);
    return length;
  }

  /** All bytes at hand, for values at positions that `take` gave; replaced by the next fetch. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  u32(what: string): number {
    return this.#view.getUint32(this.take(4, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.take(8, what), true);
  }

  /** A u64 that counts something; refuses what a number cannot hold exactly. */
  size(what: string): number {
    const value = this.u64(what);
    if (value > Number.MAX_SAFE_INTEGER) this.fail('gguf-limit', what, `is ${value}, beyond any real file`, { limit: Number.MAX_SAFE_INTEGER, value });
    return Number(value);
  }

  /** A length-prefixed string. Token strings may hold cut UTF-8, so only names are strict about it. */
  string(limit: number, what: string, strict = false): string {
    const length = this.skipString(limit, what);
    const start = this.offset - length;
    if (!strict) return decodeText(this.#bytes, start, length);
    return decodeStrictly(this.#bytes, start, length) ?? this.fail('gguf-value', what, 'is not valid UTF-8');
  }

  /** A copy of the next `length` bytes. */
  copy(length: number, what: string): ArrayBuffer {
    const start = this.take(length, what);
    return this.#bytes.buffer.slice(start, start + length);
  }

  #checkEnd(end: number, what: string): void {
    const { size } = this.source;
    if (size !== undefined && end > size) this.fail('gguf-truncated', what, `ends at byte ${end}, but the file has ${size}`, { limit: size, value: end });
    if (end > MAX_HEADER_BYTES) this.fail('gguf-limit', what, `ends at byte ${end}, past the header's limit of ${MAX_HEADER_BYTES}`, { limit: MAX_HEADER_BYTES, value: end });
  }

  async #fetchTo(end: number): Promise<void> {
    const loaded = this.#bytes.length;
    const { size } = this.source;
    const { firstReadBytes = FIRST_READ_BYTES, ...readOptions } = this.options;
    const wish = loaded === 0 && size === undefined ? FIXED_HEADER_BYTES : Math.max(loaded * 2, firstReadBytes);
    const target = Math.min(Math.max(wish, end), size ?? Infinity, MAX_HEADER_BYTES);
    const chunk = await this.source.read(loaded, target - loaded, readOptions);
    if (chunk.length !== target - loaded) this.fail('gguf-truncated', 'the header', `read stops at byte ${loaded + chunk.length}`, { limit: target });
    if (loaded === 0) {
      this.#bytes = chunk.byteLength === chunk.buffer.byteLength ? chunk : chunk.slice();
    } else {
      const grown = new Uint8Array(target);
      grown.set(this.#bytes);
      grown.set(chunk, loaded);
      this.#bytes = grown;
    }
    this.#view = new DataView(this.#bytes.buffer);
  }
}

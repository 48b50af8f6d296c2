import type { Warning } from '../../api/types.ts';
import { SourceError } from '../errors.ts';
import type { ByteSource, ReadOptions } from '../source.ts';
import { abortable } from './abort.ts';
import { fileVersion, mergeVersions, versionConflict, versionName, type FileVersion } from './file-version.ts';
import { requestFailure, StalledError, watchedFetch, type WatchedResponse } from './http-request.ts';
import { PATIENT, Retryable, withRetries, type RetryPolicy } from './retry.ts';
import { WholeBody } from './whole-body.ts';

export interface HttpSourceOptions {
  readonly onWarning?: (warning: Warning) => void;
  readonly retry?: RetryPolicy;
  /** A connection that brings nothing for so long is dropped and tried again. */
  readonly stallMs?: number;
}

const STALL_MS = 30_000;

/**
 * A file on an HTTP server, read by ranges (RFC 9110, section 14). All answers must be of one version of the file.
 * Where the server has no ranges, its one body is read as far as is needed, and kept, with a 'no-range' warning.
 */
export class HttpSource implements ByteSource {
  readonly name: string;
  readonly #url: URL;
  readonly #options: HttpSourceOptions;
  #version: FileVersion | undefined;
  #body: WholeBody | undefined;

  /** @param url absolute */
  constructor(url: URL | string, options: HttpSourceOptions = {}) {
    this.#url = new URL(url);
    this.#options = options;
    this.name = this.#url.href;
  }

  get size(): number | undefined {
    return this.#version?.size;
  }

  async version(): Promise<string | undefined> {
    if (!this.#version) await this.read(0, 1);
    return this.#version && versionName(this.#version);
  }

  sibling(fileName: string): HttpSource {
    const url = new URL(fileName, this.#url);
    url.search = this.#url.search;
    return new HttpSource(url, this.#options);
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    options.signal?.throwIfAborted();
    this.#checkEnd(offset, length);
    const bytes = new Uint8Array(length);
    let filled = 0;
    const attempt = async () => {
      while (filled < length) {
        const part = this.#body ? this.#fromBody(this.#body, offset + filled, length - filled, options) : this.#fromRange(offset + filled, length - filled, options);
        for await (const chunk of part) {
          if (filled + chunk.length > length) throw new SourceError('source-server', this.name, 'the server sent more bytes than were asked for', 206);
          bytes.set(chunk, filled);
          filled += chunk.length;
          options.onBytes?.(chunk.length);
        }
      }
    };
    await withRetries(attempt, () => filled, this.#options.retry ?? PATIENT, options.signal);
    return bytes;
  }

  async *#fromBody(body: WholeBody, offset: number, length: number, { signal }: ReadOptions): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await abortable(body.read(offset, length), signal);
    } catch (cause) {
      signal?.throwIfAborted();
      // Another reader may have begun a new pass already.
      if (this.#body === body) this.#body = undefined;
      throw this.#lost(cause);
    }
    if (bytes.length < length) throw this.#truncated(offset, length, offset + bytes.length);
    yield bytes;
  }

  /** Chunks of a range as they arrive. Ends without any where the server turns out to have no ranges: `#body` is there then. */
  async *#fromRange(offset: number, length: number, { signal }: ReadOptions): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const watched = await this.#request(offset, length, signal);
    const { response } = watched;
    if (response.status === 200) return this.#takeBody(watched);
    try {
      if (response.status !== 206) throw await this.#refusal(response, offset, length);
      const { start, size } = parseContentRange(response.headers.get('content-range'));
      if (start !== undefined && start !== offset) throw new SourceError('source-server', this.name, `asked for byte ${offset}, the server sent from byte ${start}`, 206);
      this.#see(fileVersion(response.headers, size));
      // A server of another site may hide Content-Range from pages, yet not Content-Length.
      if (this.size === undefined) await this.#askSize(signal);
      this.#checkEnd(offset, length);
      let received = 0;
      for await (const chunk of watched.chunks()) {
        received += chunk.length;
        yield chunk;
      }
      if (received < length) throw this.#lost(new Error(`the answer ended after ${received} of ${length} bytes`));
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof SourceError || cause instanceof Retryable) throw cause;
      throw this.#lost(cause);
    } finally {
      watched.cancel();
    }
  }

  async #request(offset: number, length: number, signal: AbortSignal | undefined): Promise<WatchedResponse> {
    const headers = new Headers({ range: `bytes=${offset}-${offset + length - 1}` });
    const etag = this.#version?.strongEtag;
    // Sent to another site, this header would need a CORS preflight that many file hosts refuse. ETags are compared anyway.
    if (etag !== undefined && isOwnOrigin(this.#url)) headers.set('if-range', etag);
    return this.#fetch({ headers }, signal);
  }

  async #fetch(init: RequestInit, signal: AbortSignal | undefined): Promise<WatchedResponse> {
    try {
      return await watchedFetch(this.#url, init, signal, this.#options.stallMs ?? STALL_MS);
    } catch (cause) {
      signal?.throwIfAborted();
      throw this.#lost(cause);
    }
  }

  #takeBody(watched: WatchedResponse): void {
    const { headers, body } = watched.response;
    const encoded = headers.has('content-encoding');
    try {
      this.#see(fileVersion(headers, encoded ? undefined : parseLength(headers)));
    } catch (error) {
      watched.cancel();
      throw error;
    }
    if (this.#body || !body) return watched.cancel();
    watched.unwatch();
    this.#body = new WholeBody(body);
    this.#options.onWarning?.({
      code: 'no-range',
      message: `${this.name}: this server cannot send parts of a file (HTTP Range), so all of it is downloaded in order. Starting takes longer; a server with Range is better.`,
    });
  }

  async #askSize(signal: AbortSignal | undefined): Promise<void> {
    const watched = await this.#fetch({ method: 'HEAD' }, signal);
    watched.cancel();
    const { ok, headers } = watched.response;
    if (ok) this.#see(fileVersion(headers, parseLength(headers)));
  }

  /** Remembers the first answer's version, completes it, and throws 'source-changed' where another contradicts it. */
  #see(version: FileVersion): void {
    const known = this.#version;
    const conflict = known && versionConflict(known, version);
    if (conflict) throw new SourceError('source-changed', this.name, `the file changed while it was read: ${conflict}`);
    this.#version = known ? mergeVersions(known, version) : version;
  }

  async #refusal(response: Response, offset: number, length: number): Promise<SourceError | Retryable> {
    if (response.status !== 416) return requestFailure(this.name, response);
    const { size } = parseContentRange(response.headers.get('content-range'));
    if (size !== undefined) this.#see({ etag: undefined, strongEtag: undefined, lastModified: undefined, size });
    return this.#truncated(offset, length, size);
  }

  #checkEnd(offset: number, length: number): void {
    if (this.size !== undefined && offset + length > this.size) throw this.#truncated(offset, length, this.size);
  }

  #truncated(offset: number, length: number, size: number | undefined): SourceError {
    return new SourceError('source-truncated', this.name, `bytes ${offset} to ${offset + length} are needed, but the file ends ${size === undefined ? 'before' : `at ${size}`}`);
  }

  #lost(cause: unknown): Retryable {
    const problem = cause instanceof StalledError ? cause.message : 'the connection failed or broke off';
    return new Retryable(new SourceError('source-network', this.name, problem, undefined, { cause }));
  }
}

function parseContentRange(header: string | null): { readonly start: number | undefined; readonly size: number | undefined } {
  const [, start, size] = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(header ?? '') ?? [];
  return { start: start === undefined ? undefined : Number(start), size: size === undefined || size === '*' ? undefined : Number(size) };
}

function parseLength(headers: Headers): number | undefined {
  const length = headers.get('content-length');
  return length === null ? undefined : Number(length);
}

/** Whether CORS has no say: the page's own server, or no page at all. */
function isOwnOrigin(url: URL): boolean {
  const page: Location | undefined = globalThis.location;
  return page === undefined || page.origin === url.origin;
}

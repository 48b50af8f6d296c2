import { SourceError } from '../errors.ts';
import { Retryable } from './retry.ts';

/** The server keeps the connection open and sends nothing. */
export class StalledError extends Error {
  constructor(ms: number) {
    super(`the server sent nothing for ${ms / 1000} s`);
  }
}

/** A response that is given up when it stalls. */
export interface WatchedResponse {
  readonly response: Response;
  /** The body as it arrives. */
  chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Lets the body take its time from now on. */
  unwatch(): void;
  /** Frees the connection where the body has not been read to its end. */
  cancel(): void;
}

/**
 * `fetch` past the HTTP cache: shards have a store of their own, and a cache may hold another version of some ranges.
 * Rejects with `StalledError` when nothing arrives for `stallMs`.
 */
export async function watchedFetch(url: URL, init: RequestInit, signal: AbortSignal | undefined, stallMs: number): Promise<WatchedResponse> {
  const own = new AbortController();
  const giveUp = () => own.abort(new StalledError(stallMs));
  let timer = setTimeout(giveUp, stallMs);
  const unwatch = () => clearTimeout(timer);
  try {
    const response = await fetch(url, { ...init, cache: 'no-store', signal: signal ? AbortSignal.any([signal, own.signal]) : own.signal });
    return {
      response,
      unwatch,
      cancel: () => {
        unwatch();
        own.abort();
      },
      async *chunks() {
        const reader = response.body?.getReader();
        for (;;) {
          clearTimeout(timer);
          timer = setTimeout(giveUp, stallMs);
          const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
          unwatch();
          if (done || !value) return;
          yield value;
        }
      },
    };
  } catch (error) {
    unwatch();
    throw error;
  }
}

/** The failure that a status stands for; `Retryable` where the server may recover by itself. */
export function requestFailure(url: string, response: Response): SourceError | Retryable {
  const { status } = response;
  const says = `the server answered ${status}${response.statusText ? ` ${response.statusText}` : ''}`;
  if (status === 404 || status === 410) return new SourceError('source-missing', url, `there is no such file (${says})`, status);
  if (status === 401 || status === 403) return new SourceError('source-refused', url, says, status);
  if (status === 429) return new Retryable(new SourceError('source-busy', url, says, status), retryAfterMs(response));
  if (status === 503) return new Retryable(new SourceError('source-server', url, says, status), retryAfterMs(response));
  const error = new SourceError('source-server', url, says, status);
  return status >= 500 || status === 408 ? new Retryable(error) : error;
}

/** `Retry-After` is a number of seconds or a date. */
function retryAfterMs(response: Response): number {
  const given = response.headers.get('retry-after');
  if (given === null) return 0;
  const ms = /^\d+$/.test(given) ? Number(given) * 1000 : Date.parse(given) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

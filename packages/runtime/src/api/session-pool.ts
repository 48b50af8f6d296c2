import type { Session } from './types.ts';

/** Requests that run at a time, each with a KV cache of its own; more wait. */
const MAX_SESSIONS = 4;

/**
 * Sessions for requests. One is kept, so that the next turn of a conversation finds the last in its KV cache;
 * requests that come while it is in use get others, which go with them.
 */
export class SessionPool {
  #kept: Session | undefined;
  #isKeptInUse = false;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(readonly open: () => Promise<Session>) {}

  /** Waits while too many are in use. Each must be given back by `release`. Throws what `open` throws, and the signal's reason. */
  async acquire(signal?: AbortSignal): Promise<Session> {
    signal?.throwIfAborted();
    await this.#turn(signal);
    const keep = !this.#isKeptInUse;
    if (keep) this.#isKeptInUse = true;
    try {
      return keep ? (this.#kept ??= await this.open()) : await this.open();
    } catch (error) {
      if (keep) this.#isKeptInUse = false;
      this.#next();
      throw error;
    }
  }

  /** @param isSound false when it failed: what its cache holds is unknown */
  async release(session: Session, isSound: boolean): Promise<void> {
    const isKept = session === this.#kept;
    if (isKept && !isSound) this.#kept = undefined;
    // A session that cannot be disposed of went with its model.
    if (!isKept || !isSound) await session.dispose().catch(() => {});
    if (isKept) this.#isKeptInUse = false;
    this.#next();
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#running < MAX_SESSIONS) {
      this.#running++;
      return;
    }
    let onAbort = () => {};
    try {
      await new Promise<void>((go, refuse) => {
        this.#waiting.push(go);
        onAbort = () => {
          const place = this.#waiting.indexOf(go);
          if (place >= 0) this.#waiting.splice(place, 1);
          refuse(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The place goes to whoever waits longest. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }
}

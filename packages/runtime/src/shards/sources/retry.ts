import type { SourceError } from '../errors.ts';
import { delay } from './abort.ts';

/** Thrown by an attempt that may succeed later; `error` is thrown where patience ends. */
export class Retryable {
  constructor(
    readonly error: SourceError,
    /** Wait that the server asked for, in ms. */
    readonly afterMs?: number,
  ) {}
}

export interface RetryPolicy {
  /** Attempts without any progress before giving up. */
  readonly attempts: number;
  /** Wait after the first failure in ms; doubles from there, with jitter. */
  readonly firstDelayMs: number;
  /** Longest wait in ms. A server that asks for more is believed and given up on. */
  readonly maxDelayMs: number;
}

export const PATIENT: RetryPolicy = { attempts: 5, firstDelayMs: 300, maxDelayMs: 30_000 };

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed `attempts` times in a row without progress.
 * @param progress grows as attempts get further, e.g. bytes received
 */
export async function withRetries<T>(attempt: () => Promise<T>, progress: () => number, policy: RetryPolicy, signal: AbortSignal | undefined): Promise<T> {
  let failures = 0;
  let reached = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (failure) {
      signal?.throwIfAborted();
      if (!(failure instanceof Retryable)) throw failure;
      failures = progress() > reached ? 1 : failures + 1;
      reached = progress();
      const { error, afterMs = 0 } = failure;
      if (failures >= policy.attempts || afterMs > policy.maxDelayMs) throw error;
      const backOff = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (failures - 1));
      await delay(Math.max(afterMs, backOff * (0.5 + Math.random() / 2)), signal);
    }
  }
}

import type { Deliver } from '../api/types.ts';

/** Time in which events gather: less than a frame, and a fast GPU's ten tokens. */
const GATHER_MS = 4;

/**
 * Sends events through a port, several a message: a message a token would be thousands a second. The first goes at
 * once; what comes in the next few milliseconds, or before the receiver is done with the last, goes together.
 */
export class EventBatcher<Event> {
  #gathered: Event[] = [];
  #isSending = false;
  #sent: Promise<void> = Promise.resolve();
  readonly #failure = new AbortController();
  #isHasty = false;
  #endPause = () => {};

  /** @param pause awaited between messages */
  constructor(
    readonly deliver: Deliver<Event>,
    readonly pause: () => Promise<void> = () => new Promise((done) => setTimeout(done, GATHER_MS)),
  ) {}

  /** Aborts with what the receiver threw; it gets nothing more. */
  get failure(): AbortSignal {
    return this.#failure.signal;
  }

  push(event: Event): void {
    if (this.failure.aborted) return;
    this.#gathered.push(event);
    if (!this.#isSending) this.#sent = this.#send();
  }

  /** Resolves when all that was pushed is delivered; throws what the receiver threw. */
  async flush(): Promise<void> {
    this.#isHasty = true;
    this.#endPause();
    await this.#sent;
    this.#isHasty = false;
    this.failure.throwIfAborted();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#gathered.length > 0) {
        const events = this.#gathered;
        this.#gathered = [];
        const delivered = this.deliver(events);
        // A receiver in this thread gets every event as it comes.
        if (!delivered) continue;
        await delivered;
        if (!this.#isHasty) await Promise.race([this.pause(), new Promise<void>((done) => (this.#endPause = done))]);
      }
    } catch (reason) {
      this.#failure.abort(reason);
    } finally {
      this.#isSending = false;
    }
  }
}

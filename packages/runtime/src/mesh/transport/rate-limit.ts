/** Lets through so much a second on average, and as much as a second's at once. */
export class RateLimit {
  #left: number;
  #at: number;

  constructor(
    readonly perSecond: number,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#left = perSecond;
    this.#at = now();
  }

  /** Whether this much more is within the limit. */
  take(amount: number): boolean {
    const now = this.now();
    this.#left = Math.min(this.perSecond, this.#left + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    this.#left -= amount;
    return this.#left >= 0;
  }
}

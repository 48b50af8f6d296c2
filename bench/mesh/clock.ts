/** Time that passes only when nothing else is left to do. */
export class VirtualClock {
  #now = 0;
  /** A binary heap by time; those of the same time in the order in which they came. */
  readonly #timers: { readonly at: number; readonly order: number; readonly wake: () => void }[] = [];
  #order = 0;

  get now(): number {
    return this.#now;
  }

  until(at: number): Promise<void> {
    return new Promise((wake) => this.#push({ at: Math.max(at, this.#now), order: this.#order++, wake }));
  }

  sleep(ms: number): Promise<void> {
    return this.until(this.#now + ms);
  }

  /** Runs until the work is done. Throws where it waits for something that never comes. */
  async run<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => (done = true));
    ended.catch(() => {});
    for (;;) {
      // Whatever a timer has woken runs before the next one.
      await new Promise((resolve) => setImmediate(resolve));
      if (done) return ended;
      const next = this.#pop();
      if (!next) throw new Error('the simulation waits for what never comes');
      this.#now = next.at;
      next.wake();
    }
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#timers[a], this.#timers[b]];
    return !!x && !!y && (x.at < y.at || (x.at === y.at && x.order < y.order));
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#timers[a], this.#timers[b]];
    if (x && y) [this.#timers[a], this.#timers[b]] = [y, x];
  }

  #push(timer: { readonly at: number; readonly order: number; readonly wake: () => void }): void {
    let i = this.#timers.push(timer) - 1;
    for (; i > 0 && this.#before(i, (i - 1) >> 1); i = (i - 1) >> 1) this.#swap(i, (i - 1) >> 1);
  }

  #pop() {
    this.#swap(0, this.#timers.length - 1);
    const first = this.#timers.pop();
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const least = this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(least, i)) return first;
      this.#swap(least, i);
      i = least;
    }
  }
}

/** Something that serves one at a time: a processor, a line out, a line in. */
export class Line {
  #freeAt = 0;

  /** Takes it for so long, as soon as it is free after `from`. @returns when it is done */
  take(from: number, ms: number): number {
    this.#freeAt = Math.max(from, this.#freeAt) + ms;
    return this.#freeAt;
  }
}

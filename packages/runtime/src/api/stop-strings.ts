/** Watches a text that arrives in pieces for stop strings. What may be the beginning of one is held back. */
export class StopStrings {
  #held = '';

  constructor(readonly stops: readonly string[]) {}

  /**
   * Adds a piece; gives what is certain to lie before any stop. Of several stops the one that is complete first
   * counts (the longest, where several end there), so that it does not matter how the text is cut into pieces.
   */
  push(piece: string): { readonly text: string; readonly stopped: boolean } {
    this.#held += piece;
    const stop = this.#firstStop();
    const safe = stop ?? this.#held.length - this.#beginning();
    const text = this.#held.slice(0, safe);
    this.#held = stop === undefined ? this.#held.slice(safe) : '';
    return { text, stopped: stop !== undefined };
  }

  /** What is held back, when nothing more comes. */
  end(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** Where the first stop begins. */
  #firstStop(): number | undefined {
    let start: number | undefined;
    let end = Infinity;
    for (const stop of this.stops) {
      const at = this.#held.indexOf(stop);
      if (at < 0 || at + stop.length > end) continue;
      start = at + stop.length < end ? at : Math.min(at, start ?? at);
      end = at + stop.length;
    }
    return start;
  }

  /** Length of the longest end of the text that a stop begins with. */
  #beginning(): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}

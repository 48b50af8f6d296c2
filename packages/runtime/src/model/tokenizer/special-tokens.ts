/** Finds tokens that texts may contain as a whole: the longest at each place, from left to right. */
export class SpecialTokens {
  readonly #ids = new Map<string, number>();
  /** Lengths of the tokens that begin with a UTF-16 unit, longest first. */
  readonly #lengths = new Map<number, number[]>();

  /** @param tokens pairs of text and id */
  constructor(tokens: Iterable<readonly [string, number]>) {
    for (const [text, id] of tokens) {
      if (text === '') continue;
      this.#ids.set(text, id);
      const first = text.charCodeAt(0);
      const lengths = this.#lengths.get(first) ?? [];
      if (!lengths.includes(text.length)) lengths.push(text.length);
      this.#lengths.set(first, lengths);
    }
    for (const lengths of this.#lengths.values()) lengths.sort((a, b) => b - a);
  }

  /** Ids of the tokens found and, where it is not empty, the text between them. */
  *split(text: string): Generator<string | number, void, void> {
    let start = 0;
    let at = 0;
    while (at < text.length) {
      const length = this.#match(text, at);
      if (length === undefined) {
        at++;
        continue;
      }
      if (at > start) yield text.slice(start, at);
      yield this.#ids.get(text.slice(at, at + length)) ?? 0;
      at += length;
      start = at;
    }
    if (at > start) yield text.slice(start);
  }

  /** Length of the token that begins here. */
  #match(text: string, at: number): number | undefined {
    return this.#lengths.get(text.charCodeAt(at))?.find((length) => this.#ids.has(text.slice(at, at + length)));
  }
}

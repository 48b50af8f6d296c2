/** A piece of text in a list of neighbours. */
export interface Piece {
  /** Empty once it has merged into its left neighbour. */
  text: string;
  /** Place in the text. */
  readonly at: number;
  previous: Piece | undefined;
  next: Piece | undefined;
}

/** Two neighbours whose union is a token. */
export interface Pair {
  readonly left: Piece;
  readonly right: Piece;
  /** Length of both when the pair was queued. */
  readonly length: number;
  /** Of the token that they would become. */
  readonly score: number;
}

/** A binary heap of pairs: the highest score first, the leftmost of equals. */
export class PairQueue {
  readonly #heap: Pair[] = [];

  push(pair: Pair): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (!parent || !isBefore(pair, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = pair;
  }

  pop(): Pair | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (last && heap.length > 0) this.#sink(last);
    return top;
  }

  /** Puts a pair in from the top, in place of what lies there. */
  #sink(pair: Pair): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      const other = heap[down + 1];
      if (child && other && isBefore(other, child)) {
        down++;
        child = other;
      }
      if (!child || isBefore(pair, child)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = pair;
  }
}

function isBefore(a: Pair, b: Pair): boolean {
  return a.score > b.score || (a.score === b.score && a.left.at < b.left.at);
}

/** A piece of a text, in a list of neighbours. */
interface Piece {
  /** Empty once it has merged into its left neighbour. */
  text: string;
  /** Place in the text. */
  readonly at: number;
  previous: Piece | undefined;
  next: Piece | undefined;
}

/** Two neighbours that may merge. */
interface Pair {
  readonly rank: number;
  readonly left: Piece;
  readonly right: Piece;
  /** Length of both when they met. */
  readonly length: number;
}

/**
 * Byte-pair encoding: of all neighbouring pieces the pair with the lowest rank merges, the leftmost of equals, until no
 * pair has a rank. Starts from single characters; takes n log n steps for n of them.
 * @param rank of two neighbours; undefined where they do not merge
 */
export function mergePairs(text: string, rank: (left: string, right: string) => number | undefined): string[] {
  const heap: Pair[] = [];
  const offer = (left: Piece | undefined) => {
    if (!left?.next) return;
    const found = rank(left.text, left.next.text);
    if (found !== undefined) push(heap, { rank: found, left, right: left.next, length: left.text.length + left.next.text.length });
  };
  const first = characters(text);
  for (let piece = first; piece; piece = piece.next) offer(piece);
  for (let pair = pop(heap); pair; pair = pop(heap)) {
    if (isStale(pair)) continue;
    const { left, right } = pair;
    left.text += right.text;
    right.text = '';
    left.next = right.next;
    if (left.next) left.next.previous = left;
    offer(left.previous);
    offer(left);
  }
  const pieces: string[] = [];
  for (let piece = first; piece; piece = piece.next) pieces.push(piece.text);
  return pieces;
}

/** A list of the characters of a text; undefined where it has none. */
function characters(text: string): Piece | undefined {
  let first: Piece | undefined;
  let previous: Piece | undefined;
  let at = 0;
  for (const char of text) {
    const piece: Piece = { text: char, at: at++, previous, next: undefined };
    if (previous) previous.next = piece;
    first ??= piece;
    previous = piece;
  }
  return first;
}

/** One of the two has merged with another since they met. */
function isStale({ left, right, length }: Pair): boolean {
  return left.text === '' || right.text === '' || left.text.length + right.text.length !== length;
}

function isBefore(a: Pair, b: Pair): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.left.at < b.left.at);
}

/** Into a binary heap. */
function push(heap: Pair[], pair: Pair): void {
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

/** The first pair out of a binary heap. */
function pop(heap: Pair[]): Pair | undefined {
  const [top] = heap;
  const last = heap.pop();
  if (!last || heap.length === 0) return top;
  // The last one sinks from the top to its place.
  let at = 0;
  for (;;) {
    let down = 2 * at + 1;
    let child = heap[down];
    const sibling = heap[down + 1];
    if (child && sibling && isBefore(sibling, child)) {
      down++;
      child = sibling;
    }
    if (!child || isBefore(last, child)) break;
    heap[at] = child;
    at = down;
  }
  heap[at] = last;
  return top;
}

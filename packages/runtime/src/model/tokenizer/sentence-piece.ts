import { PairQueue, type Pair, type Piece } from './pair-queue.ts';
import type { TextModel } from './text-model.ts';
import { TokenKind, type Vocabulary } from './vocabulary.ts';

/** What SentencePiece writes for a space. */
const SPACE = '▁';

/**
 * BPE as SentencePiece does it: no list of merges, but neighbouring pieces whose union is a token merge by that token's
 * score, best first, the leftmost of equals. Characters that are no token fall back to tokens of their bytes.
 * (`@huggingface/tokenizers` merges by ranks of pairs, which a GGUF of this kind does not have.)
 */
export class SentencePieceBpe implements TextModel {
  readonly leadingSpace: boolean;
  readonly #ids = new Map<string, number>();
  readonly #byteIds = new Map<number, number>();
  readonly #scores: ArrayLike<number>;
  readonly #unknown: number | undefined;

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    this.leadingSpace = vocabulary.flag('tokenizer.ggml.add_space_prefix', true);
    this.#scores = vocabulary.numbers('tokenizer.ggml.scores', true) ?? [];
    this.#unknown = vocabulary.role('unknown');
    for (const [id, token] of vocabulary.tokens.entries()) {
      const kind = vocabulary.kind(id);
      // Text never merges into a special token, whatever it spells.
      if (kind === TokenKind.normal) this.#ids.set(token, id);
      else if (kind === TokenKind.byte) this.#byteIds.set(byteOf(token), id);
    }
  }

  encode(text: string): number[] {
    const first = pieces(`${this.leadingSpace ? SPACE : ''}${text.replaceAll(' ', SPACE)}`);
    this.#merge(first);
    const ids: number[] = [];
    for (let piece = first; piece; piece = piece.next) {
      const id = this.#ids.get(piece.text);
      if (id === undefined) ids.push(...this.#byteFallback(piece.text));
      else ids.push(id);
    }
    return ids;
  }

  bytes(token: string, kind: number): Uint8Array {
    return kind === TokenKind.byte ? Uint8Array.of(byteOf(token)) : new TextEncoder().encode(token.replaceAll(SPACE, ' '));
  }

  #merge(first: Piece | undefined): void {
    const queue = new PairQueue();
    for (let piece = first; piece; piece = piece.next) this.#offer(queue, piece);
    for (let pair = queue.pop(); pair; pair = queue.pop()) {
      if (isStale(pair)) continue;
      const { left, right } = pair;
      left.text += right.text;
      right.text = '';
      left.next = right.next;
      if (left.next) left.next.previous = left;
      this.#offer(queue, left);
      if (left.previous) this.#offer(queue, left.previous);
    }
  }

  /** Queues a piece's union with the next one, if that is a token. */
  #offer(queue: PairQueue, left: Piece): void {
    const right = left.next;
    const text = right && left.text + right.text;
    const id = text && this.#ids.get(text);
    if (right && text && id !== undefined) queue.push({ left, right, length: text.length, score: this.#scores[Number(id)] ?? 0 });
  }

  #byteFallback(text: string): number[] {
    const ids = Array.from(new TextEncoder().encode(text), (byte) => this.#byteIds.get(byte) ?? this.#unknown);
    return ids.filter((id) => id !== undefined);
  }
}

/** A list of the characters of a text; undefined where it has none. */
function pieces(text: string): Piece | undefined {
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

/** One of the two has merged with another since the pair was queued. */
function isStale({ left, right, length }: Pair): boolean {
  return left.text === '' || right.text === '' || left.text.length + right.text.length !== length;
}

/** Byte of a token such as `<0x0A>`. */
function byteOf(token: string): number {
  return Number.parseInt(token.slice(3, 5), 16) || 0;
}

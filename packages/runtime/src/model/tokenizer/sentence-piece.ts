import { mergePairs } from './merge.ts';
import type { TextModel } from './text-model.ts';
import { TokenKind, type Vocabulary } from './vocabulary.ts';

/** What SentencePiece writes for a space. */
const SPACE = '▁';

/**
 * BPE as SentencePiece does it: there is no list of merges, but neighbouring pieces whose union is a token merge by that
 * token's score, the best first. Characters that are no token fall back to the tokens of their bytes.
 * (`@huggingface/tokenizers` merges by ranks of pairs, which a GGUF of this kind does not have.)
 */
export class SentencePieceBpe implements TextModel {
  readonly leadingSpace: boolean;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #byteIds = new Map<number, number>();
  readonly #scores: ArrayLike<number>;
  readonly #unknown: number | undefined;

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    this.leadingSpace = vocabulary.flag('tokenizer.ggml.add_space_prefix', true);
    this.#ids = vocabulary.textIds();
    this.#scores = vocabulary.numbers('tokenizer.ggml.scores');
    this.#unknown = vocabulary.role('unknown');
    for (const [id, token] of vocabulary.tokens.entries()) {
      if (vocabulary.kind(id) === TokenKind.byte) this.#byteIds.set(byteOf(token), id);
    }
  }

  encode(text: string): number[] {
    const spaced = (this.leadingSpace ? SPACE : '') + text.replaceAll(' ', SPACE);
    return mergePairs(spaced, (left, right) => this.#rank(left + right)).flatMap((piece) => this.#ids.get(piece) ?? this.#byteFallback(piece));
  }

  bytes(token: string, kind: number): Uint8Array {
    return kind === TokenKind.byte ? Uint8Array.of(byteOf(token)) : new TextEncoder().encode(token.replaceAll(SPACE, ' '));
  }

  #rank(token: string): number | undefined {
    const id = this.#ids.get(token);
    return id === undefined ? undefined : -(this.#scores[id] ?? 0);
  }

  #byteFallback(piece: string): number[] {
    const ids = Array.from(new TextEncoder().encode(piece), (byte) => this.#byteIds.get(byte) ?? this.#unknown);
    return ids.filter((id) => id !== undefined);
  }
}

/** Byte of a token such as `<0x0A>`. */
function byteOf(token: string): number {
  return Number.parseInt(token.slice(3, 5), 16) || 0;
}

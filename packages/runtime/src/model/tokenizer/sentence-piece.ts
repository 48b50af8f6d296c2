import { ByteTokens, bytesOf, SPACE } from './byte-tokens.ts';
import { mergePairs } from './merge.ts';
import type { TextModel } from './text-model.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * BPE as SentencePiece does it: there is no list of merges, but neighbouring pieces whose union is a token merge by that
 * token's score, the best first. Characters that are no token fall back to the tokens of their bytes.
 * (`@huggingface/tokenizers` merges by ranks of pairs, which a GGUF of this kind does not have.)
 */
export class SentencePieceBpe implements TextModel {
  readonly leadingSpace: boolean;
  readonly bytes = bytesOf;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #byteTokens: ByteTokens;
  readonly #scores: ArrayLike<number>;

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    this.leadingSpace = vocabulary.flag('tokenizer.ggml.add_space_prefix', true);
    this.#ids = vocabulary.textIds();
    this.#byteTokens = new ByteTokens(vocabulary);
    this.#scores = vocabulary.numbers('tokenizer.ggml.scores');
  }

  encode(text: string): number[] {
    const spaced = (this.leadingSpace ? SPACE : '') + text.replaceAll(' ', SPACE);
    return mergePairs(spaced, (left, right) => this.#rank(left + right)).flatMap((piece) => this.#ids.get(piece) ?? this.#byteTokens.encode(piece));
  }

  #rank(token: string): number | undefined {
    const id = this.#ids.get(token);
    return id === undefined ? undefined : -(this.#scores[id] ?? 0);
  }
}

import { ByteTokens, bytesOf, SPACE } from './byte-tokens.ts';
import { mergePairs } from './merge.ts';
import type { TextModel } from './text-model.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * Gemma 4's BPE: spaces and bytes as SentencePiece has them, but a list of merges, and none across the ends of lines: runs
 * of line feeds are cut from what lies between, and are whole tokens where the vocabulary has them.
 */
export class GemmaBpe implements TextModel {
  readonly leadingSpace = false;
  readonly bytes = bytesOf;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #byteTokens: ByteTokens;
  /** Ranks of merges, each two pieces with a space between. */
  readonly #ranks: ReadonlyMap<string, number>;

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    this.#ids = vocabulary.textIds();
    this.#byteTokens = new ByteTokens(vocabulary);
    this.#ranks = new Map(vocabulary.strings('tokenizer.ggml.merges').map((merge, rank) => [merge, rank]));
  }

  encode(text: string): number[] {
    return (text.replaceAll(' ', SPACE).match(/[^\n]+|\n+/g) ?? []).flatMap((part) => this.#part(part));
  }

  #part(part: string): readonly number[] {
    const whole = part.startsWith('\n') ? this.#ids.get(part) : undefined;
    if (whole !== undefined) return [whole];
    const pieces = mergePairs(part, (left, right) => this.#ranks.get(`${left} ${right}`));
    return pieces.flatMap((piece) => this.#ids.get(piece) ?? this.#byteTokens.encode(piece));
  }
}

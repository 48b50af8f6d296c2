import { BPE, ByteLevelPreTokenizer, SequencePreTokenizer } from '@huggingface/tokenizers';
import { DEFAULT_PRE_TOKENIZER, preTokenizer } from './pre-tokenizers.ts';
import type { TextModel } from './text-model.ts';
import { TokenKind, type Vocabulary } from './vocabulary.ts';

const BYTE_LEVEL = { type: 'ByteLevel', use_regex: false } as const;

/** The character that byte-level BPE writes each byte as, and back. */
const BYTE_OF = new Map(Object.entries(new ByteLevelPreTokenizer(BYTE_LEVEL).byte_encoder).map(([byte, char]) => [char, Number(byte)]));

/** Byte-level BPE (GPT-2's scheme): words are cut by patterns, and within each neighbouring pieces merge by rank. */
export class ByteLevelBpe implements TextModel {
  readonly leadingSpace = false;
  readonly #words: SequencePreTokenizer;
  readonly #merges: BPE;

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    const { patterns, ignoreMerges = false } = preTokenizer(vocabulary.pre) ?? DEFAULT_PRE_TOKENIZER;
    const splits = patterns.map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }) as const);
    this.#words = new SequencePreTokenizer({ type: 'Sequence', pretokenizers: [...splits, BYTE_LEVEL] });
    const ordinary = [...vocabulary.tokens.entries()].filter(([id]) => vocabulary.kind(id) === TokenKind.normal);
    this.#merges = new BPE({
      type: 'BPE',
      vocab: Object.fromEntries(ordinary.map(([id, token]) => [token, id])),
      merges: [...vocabulary.strings('tokenizer.ggml.merges')],
      ignore_merges: ignoreMerges,
    });
  }

  encode(text: string): number[] {
    const pieces = this.#merges.encode(this.#words.pre_tokenize(text));
    // The library drops bytes that the vocabulary lacks, so each piece has an id.
    return pieces.map((piece) => this.#merges.tokens_to_ids.get(piece) ?? 0);
  }

  bytes(token: string): Uint8Array {
    return Uint8Array.from(Array.from(token).flatMap((char) => BYTE_OF.get(char) ?? [...new TextEncoder().encode(char)]));
  }
}

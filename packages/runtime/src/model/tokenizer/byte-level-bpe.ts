import { ByteLevelPreTokenizer, SequencePreTokenizer } from '@huggingface/tokenizers';
import { mergePairs } from './merge.ts';
import { DEFAULT_PRE_TOKENIZER, preTokenizer } from './pre-tokenizers.ts';
import type { TextModel } from './text-model.ts';
import type { Vocabulary } from './vocabulary.ts';

const BYTE_LEVEL = { type: 'ByteLevel', use_regex: false } as const;

/** The character that byte-level BPE writes each byte as, and back. */
const BYTE_OF = new Map(Object.entries(new ByteLevelPreTokenizer(BYTE_LEVEL).byte_encoder).map(([byte, char]) => [char, Number(byte)]));

/** Words whose ids are kept: a text has most of its words many times. */
const MAX_KNOWN_WORDS = 10_000;

/**
 * Byte-level BPE (GPT-2's scheme): words are cut by patterns, and within each neighbouring pieces merge by rank.
 * (The BPE of `@huggingface/tokenizers` gives the same ids, but takes three times as long to be ready: it makes JSON of
 * every merge, where a GGUF has them as the very strings to look up.)
 */
export class ByteLevelBpe implements TextModel {
  readonly leadingSpace = false;
  readonly #preTokenizer: SequencePreTokenizer;
  readonly #ignoreMerges: boolean;
  readonly #ids: ReadonlyMap<string, number>;
  /** Ranks of merges, each two pieces with a space between. */
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #known = new Map<string, readonly number[]>();

  /** Throws `ModelMetadataError`. */
  constructor(vocabulary: Vocabulary) {
    const { patterns, ignoreMerges = false } = preTokenizer(vocabulary.pre) ?? DEFAULT_PRE_TOKENIZER;
    const splits = patterns.map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }) as const);
    this.#preTokenizer = new SequencePreTokenizer({ type: 'Sequence', pretokenizers: [...splits, BYTE_LEVEL] });
    this.#ignoreMerges = ignoreMerges;
    this.#ids = vocabulary.textIds();
    this.#ranks = new Map(vocabulary.strings('tokenizer.ggml.merges').map((merge, rank) => [merge, rank]));
  }

  encode(text: string): number[] {
    return this.#preTokenizer.pre_tokenize(text).flatMap((word) => this.#word(word));
  }

  bytes(token: string): Uint8Array {
    return Uint8Array.from(Array.from(token).flatMap((char) => BYTE_OF.get(char) ?? [...new TextEncoder().encode(char)]));
  }

  #word(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known) return known;
    const whole = this.#ignoreMerges ? this.#ids.get(word) : undefined;
    const ids = whole === undefined ? this.#merged(word) : [whole];
    if (this.#known.size >= MAX_KNOWN_WORDS) this.#known.clear();
    this.#known.set(word, ids);
    return ids;
  }

  #merged(word: string): readonly number[] {
    const pieces = mergePairs(word, (left, right) => this.#ranks.get(`${left} ${right}`));
    // Bytes that the vocabulary lacks are left out; nothing could stand for them.
    return pieces.flatMap((piece) => this.#ids.get(piece) ?? Array.from(piece).flatMap((char) => this.#ids.get(char) ?? []));
  }
}

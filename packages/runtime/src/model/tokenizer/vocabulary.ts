import { ModelMetadataError } from '../families/errors.ts';
import type { GgufValue } from '../gguf/types.ts';
import { preTokenizer } from './pre-tokenizers.ts';

export type Metadata = ReadonlyMap<string, GgufValue>;

/** What a token is: the numbers of `tokenizer.ggml.token_type` (ggml's `llama_token_type`). */
export const TokenKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const NO_TEXT: ReadonlySet<number> = new Set([TokenKind.unknown, TokenKind.control, TokenKind.byte]);

/** Ids that a tokeniser of SentencePiece's kind has where the file names none: SentencePiece's own. */
const SENTENCE_PIECE_IDS: Readonly<Record<string, number>> = { bos: 1, eos: 2 };

/** The tokens of a model's file, what each is, and which ids have a role. */
export class Vocabulary {
  readonly tokens: readonly string[];
  readonly #kinds: ArrayLike<number> | undefined;
  readonly #metadata: Metadata;

  /** Throws `ModelMetadataError`. */
  constructor(metadata: Metadata) {
    this.#metadata = metadata;
    this.tokens = this.strings('tokenizer.ggml.tokens');
    this.#kinds = metadata.has('tokenizer.ggml.token_type') ? this.numbers('tokenizer.ggml.token_type') : undefined;
  }

  /** The file's `tokenizer.ggml.model`. */
  get model(): GgufValue | undefined {
    return this.#metadata.get('tokenizer.ggml.model');
  }

  /** The file's `tokenizer.ggml.pre`. */
  get pre(): string | undefined {
    const pre = this.#metadata.get('tokenizer.ggml.pre');
    return typeof pre === 'string' ? pre : undefined;
  }

  /** One of `TokenKind`. Without types in the file all are normal. */
  kind(id: number): number {
    return this.#kinds?.[id] ?? TokenKind.normal;
  }

  /** Id of a token with a role, e.g. `bos`, `eos`, `eot`; undefined where the file has none. */
  role(name: string): number | undefined {
    const id = this.#metadata.get(`tokenizer.ggml.${name}_token_id`) ?? (this.model === 'llama' ? SENTENCE_PIECE_IDS[name] : undefined);
    // A bad id is no reason to refuse the file: as in llama.cpp, nothing has that role then.
    return typeof id === 'number' && id in this.tokens ? id : undefined;
  }

  /** BOS, where the file wants texts to begin with it. */
  get leadingBos(): number | undefined {
    const usual = this.model === 'llama' || this.model === 'gemma4' || preTokenizer(this.pre)?.addBos === true;
    return this.flag('tokenizer.ggml.add_bos_token', usual) ? this.role('bos') : undefined;
  }

  /** Ids of the tokens that text can become by itself: never special ones, whatever it spells. */
  textIds(): Map<string, number> {
    const ids = new Map<string, number>();
    for (const [id, token] of this.tokens.entries()) {
      if (!NO_TEXT.has(this.kind(id))) ids.set(token, id);
    }
    return ids;
  }

  flag(key: string, fallback: boolean): boolean {
    const flag = this.#metadata.get(key);
    return typeof flag === 'boolean' ? flag : fallback;
  }

  /** An array of strings. Throws `ModelMetadataError` where there is none. */
  strings(key: string): readonly string[] {
    const found = this.#metadata.get(key);
    if (found === undefined) throw new ModelMetadataError(key, 'is missing');
    if (!Array.isArray(found) || !found.every((item): item is string => typeof item === 'string')) throw new ModelMetadataError(key, 'is no array of strings');
    return found;
  }

  /** One number for each token. Throws `ModelMetadataError` where there are none. */
  numbers(key: string): ArrayLike<number> {
    const found = this.#metadata.get(key);
    if (found === undefined) throw new ModelMetadataError(key, 'is missing');
    if (!isNumbers(found)) throw new ModelMetadataError(key, 'is no array of numbers');
    if (found.length < this.tokens.length) throw new ModelMetadataError(key, `has ${found.length} values for ${this.tokens.length} tokens`);
    return found;
  }
}

function isNumbers(value: GgufValue): value is ArrayLike<number> {
  return typeof value === 'object' && (value.length === 0 || typeof value[0] === 'number');
}

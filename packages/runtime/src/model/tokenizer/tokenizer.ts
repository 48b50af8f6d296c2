import { endTokens, isEndToken } from './end-tokens.ts';
import { UnsupportedTokenizerError } from './errors.ts';
import { preTokenizer } from './pre-tokenizers.ts';
import { SpecialTokens } from './special-tokens.ts';
import type { TextModel } from './text-model.ts';
import { TokenKind, Vocabulary, type Metadata } from './vocabulary.ts';

export interface EncodeOptions {
  /** Text of special tokens stands for these tokens; default true. */
  readonly special?: boolean;
  /** Begin with BOS where the model's file asks for it; default true. A text that begins with BOS gets no second one. */
  readonly bos?: boolean;
}

export interface DecodeOptions {
  /** Write special tokens out; default false. */
  readonly special?: boolean;
  /** The ids go on after others, so a space at their start is text; default false. */
  readonly continued?: boolean;
}

/** Text of ids that come one by one. */
export interface TextStream {
  /** The text that this id completes: whole characters, U+FFFD for bytes that are no UTF-8. */
  push(id: number): string;
  /** What is left: U+FFFD where the last character is incomplete. */
  end(): string;
}

export interface Tokenizer {
  readonly bosId?: number;
  /** Ids after which a model has nothing more to say; the file's EOS first. */
  readonly eosIds: readonly number[];
  encode(text: string, options?: EncodeOptions): number[];
  /** Ids outside the vocabulary have no text. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** All that it yields, joined, is what `decode` gives for all ids. */
  createStream(options?: DecodeOptions): TextStream;
}

/** Something a person should know that stops nothing. */
interface TokenizerWarning {
  readonly code: 'unknown-tokenizer';
  readonly message: string;
}

/** Kinds of `tokenizer.ggml.model`; each comes when it is needed. */
const TEXT_MODELS: ReadonlyMap<unknown, (vocabulary: Vocabulary) => Promise<TextModel>> = new Map([
  ['gpt2', async (vocabulary: Vocabulary): Promise<TextModel> => new (await import('./byte-level-bpe.ts')).ByteLevelBpe(vocabulary)],
  ['llama', async (vocabulary: Vocabulary): Promise<TextModel> => new (await import('./sentence-piece.ts')).SentencePieceBpe(vocabulary)],
  ['gemma4', async (vocabulary: Vocabulary): Promise<TextModel> => new (await import('./gemma-bpe.ts')).GemmaBpe(vocabulary)],
]);

/**
 * The tokeniser of a model's file; undefined where the file has none.
 * @param metadata of the GGUF header
 * @param onWarning told where the file's way to cut words is not known, so that ids may differ from the model's own
 * Throws `UnsupportedTokenizerError` and `ModelMetadataError`.
 */
export async function createTokenizer(metadata: Metadata, onWarning: (warning: TokenizerWarning) => void = () => {}): Promise<Tokenizer | undefined> {
  const kind = metadata.get('tokenizer.ggml.model');
  if (kind === undefined || kind === 'none' || kind === 'no_vocab') return undefined;
  const open = TEXT_MODELS.get(kind);
  if (!open) throw new UnsupportedTokenizerError(String(kind), [...TEXT_MODELS.keys()].map(String));
  const vocabulary = new Vocabulary(metadata);
  const { pre } = vocabulary;
  if (kind === 'gpt2' && !preTokenizer(pre)) {
    const problem = pre === undefined ? 'The file does not say how words are cut' : `The file cuts words in a way that is not known ("${pre}")`;
    onWarning({ code: 'unknown-tokenizer', message: `${problem}: the default is taken, and answers may be worse. Use a file with a known tokenizer.ggml.pre.` });
  }
  return new GgufTokenizer(vocabulary, await open(vocabulary));
}

class GgufTokenizer implements Tokenizer {
  readonly bosId?: number;
  readonly eosIds: readonly number[];
  readonly #leadingBos: number | undefined;
  /** Ids that have no text of their own. */
  readonly #control = new Set<number>();
  /** Text stands for these tokens always. */
  readonly #userDefined: SpecialTokens;
  /** And for these too where special tokens are asked for. */
  readonly #special: SpecialTokens;

  constructor(
    readonly vocabulary: Vocabulary,
    readonly model: TextModel,
  ) {
    const bosId = vocabulary.role('bos');
    if (bosId !== undefined) this.bosId = bosId;
    this.#leadingBos = vocabulary.leadingBos;
    this.eosIds = endTokens(vocabulary);
    const special: [string, number][] = [];
    const userDefined: [string, number][] = [];
    for (const [id, token] of vocabulary.tokens.entries()) {
      const kind = vocabulary.kind(id);
      // Some files call the tokens that end a turn normal or user-defined.
      if (kind === TokenKind.control || kind === TokenKind.unknown || isEndToken(vocabulary, id)) {
        this.#control.add(id);
        special.push([token, id]);
      } else if (kind === TokenKind.userDefined) userDefined.push([token, id]);
    }
    this.#userDefined = new SpecialTokens(userDefined);
    this.#special = new SpecialTokens([...userDefined, ...special]);
  }

  encode(text: string, { special = true, bos = true }: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    for (const part of (special ? this.#special : this.#userDefined).split(text)) {
      if (typeof part === 'number') ids.push(part);
      else for (const id of this.model.encode(part)) ids.push(id);
    }
    if (bos && this.#leadingBos !== undefined && ids[0] !== this.#leadingBos) ids.unshift(this.#leadingBos);
    return ids;
  }

  decode(ids: readonly number[], options?: DecodeOptions): string {
    const stream = this.createStream(options);
    return ids.map((id) => stream.push(id)).join('') + stream.end();
  }

  createStream({ special = false, continued = false }: DecodeOptions = {}): TextStream {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let atStart = this.model.leadingSpace && !continued;
    return {
      push: (id) => {
        let bytes = this.#bytes(id, special);
        if (bytes.length === 0) return '';
        if (atStart && bytes[0] === 0x20) bytes = bytes.subarray(1);
        atStart = false;
        return decoder.decode(bytes, { stream: true });
      },
      end: () => decoder.decode(),
    };
  }

  /** UTF-8 bytes of a token's text. */
  #bytes(id: number, special: boolean): Uint8Array {
    const token = this.vocabulary.tokens[id];
    const control = this.#control.has(id);
    if (token === undefined || (control && !special)) return new Uint8Array();
    const kind = this.vocabulary.kind(id);
    return control || kind === TokenKind.userDefined ? new TextEncoder().encode(token) : this.model.bytes(token, kind);
  }
}

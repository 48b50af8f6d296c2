import type { ChatMessage, Warning } from '../api/types.ts';
import type { GatefoldError } from '../errors.ts';
import type { GgufModel } from '../model/gguf/types.ts';
import { UnsupportedTokenizerError } from '../model/tokenizer/errors.ts';
import type { TextStream, Tokenizer } from '../model/tokenizer/tokenizer.ts';
import { NoTokenizerError } from './errors.ts';

/** Text into ids and back, as the model's file says. Without a tokeniser there are ids only. */
export class ModelText {
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];

  /** @param known the tokeniser, or why there is none */
  constructor(
    readonly metadata: GgufModel['metadata'],
    readonly known: Tokenizer | GatefoldError,
  ) {
    if (known instanceof Error) {
      const eos = metadata.get('tokenizer.ggml.eos_token_id');
      this.bosId = undefined;
      this.eosIds = typeof eos === 'number' ? [eos] : [];
    } else {
      this.bosId = known.bosId;
      this.eosIds = known.eosIds;
    }
  }

  /** Throws `NoTokenizerError` or `UnsupportedTokenizerError`. */
  get tokenizer(): Tokenizer {
    if (this.known instanceof Error) throw this.known;
    return this.known;
  }

  /** Text of ids that come after others. */
  stream(): TextStream {
    return this.known instanceof Error ? NO_TEXT : this.known.createStream({ continued: true });
  }

  /** Throws `ChatTemplateError`. */
  async render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): Promise<string> {
    const { renderChatTemplate } = await import('../model/tokenizer/chat-template.ts');
    return renderChatTemplate(this.metadata, messages, { addGenerationPrompt });
  }
}

const NO_TEXT: TextStream = { push: () => '', end: () => '' };

/** Tokenisers come in a file of their own, which is fetched while weights are. Throws `ModelMetadataError`. */
export async function openText({ metadata }: GgufModel, onWarning: (warning: Warning) => void): Promise<ModelText> {
  const { createTokenizer } = await import('../model/tokenizer/tokenizer.ts');
  try {
    return new ModelText(metadata, (await createTokenizer(metadata, onWarning)) ?? new NoTokenizerError());
  } catch (error) {
    if (!(error instanceof UnsupportedTokenizerError)) throw error;
    onWarning({ code: 'unknown-tokenizer', message: error.message });
    return new ModelText(metadata, error);
  }
}

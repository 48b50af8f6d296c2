import type { ChatMessage, Warning } from '../api/types.ts';
import type { GgufModel } from '../model/gguf/types.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import { NoTokenizerError } from './errors.ts';

/** Text into ids and back, as the model's file says. Without a tokeniser there are ids only. */
export class ModelText {
  constructor(
    readonly gguf: GgufModel,
    readonly known: Tokenizer | undefined,
  ) {}

  /** Throws `NoTokenizerError`. */
  get tokenizer(): Tokenizer {
    if (this.known) return this.known;
    throw new NoTokenizerError(stringOf(this.gguf, 'tokenizer.ggml.model'));
  }

  get bosId(): number | undefined {
    return this.known?.bosId;
  }

  get eosIds(): readonly number[] {
    return this.known?.eosIds ?? [];
  }

  /** Throws `ChatTemplateError`. */
  async render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): Promise<string> {
    const { renderChatTemplate } = await import('../model/tokenizer/chat-template.ts');
    return renderChatTemplate(this.gguf.metadata, messages, { addGenerationPrompt });
  }
}

/** Tokenisers come in a file of their own, which is fetched while weights are. */
export async function openText(gguf: GgufModel, onWarning: (warning: Warning) => void): Promise<ModelText> {
  const { createTokenizer } = await import('../model/tokenizer/tokenizer.ts');
  const tokenizer = createTokenizer(gguf.metadata);
  if (!tokenizer) onWarning({ code: 'unknown-tokenizer', message: 'The file has no tokeniser: the model takes and gives token ids only.' });
  return new ModelText(gguf, tokenizer);
}

function stringOf({ metadata }: GgufModel, key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === 'string' ? value : undefined;
}

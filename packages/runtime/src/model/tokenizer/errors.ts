import { GatefoldError } from '../../errors.ts';

/** The file's tokeniser is of a kind that is not known. Token ids still work. */
export class UnsupportedTokenizerError extends GatefoldError {
  override readonly name = 'UnsupportedTokenizerError';
  constructor(
    /** The file's `tokenizer.ggml.model`. */
    readonly kind: string,
    readonly supported: readonly string[],
  ) {
    super('unsupported-tokenizer', `Tokenisers of the kind "${kind}" are not supported; supported: ${supported.join(', ')}. Give and take token ids instead of text.`, {
      kind,
      supported,
    });
  }
}

/** A chat template cannot be read, refuses the messages, or does not exist under the name asked for. */
export class ChatTemplateError extends GatefoldError {
  override readonly name = 'ChatTemplateError';
  constructor(
    /** GGUF key of the template. */
    readonly template: string,
    /** What the template or the template engine says. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      'chat-template',
      `The model's chat template (${template}) fails: ${reason}. Give messages that it takes (most want user and assistant in turn), or write the prompt yourself and complete it as text.`,
      { template, reason },
      options,
    );
  }
}

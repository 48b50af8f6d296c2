import { GatefoldError } from '../errors.ts';

/** Text was given or asked for, but the model's file has no tokeniser. */
export class NoTokenizerError extends GatefoldError {
  override readonly name = 'NoTokenizerError';
  constructor() {
    super('no-tokenizer', "The model's file has no tokeniser: text cannot be read or written. Give and take token ids, or use a file with a tokeniser.");
  }
}

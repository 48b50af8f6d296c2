import { GatefoldError } from '../errors.ts';

/** An option of `load` is outside its range. */
export class LoadOptionError extends GatefoldError {
  override readonly name = 'LoadOptionError';
  constructor(
    /** Name of the option, e.g. `contextLength`. */
    readonly field: string,
    readonly value: unknown,
    /** What it may be. */
    readonly allowed: string,
  ) {
    super('bad-option', `The load option ${field} is ${String(value)}, but must be ${allowed}.`, { field, value, allowed });
  }
}

/** Text was given or asked for, but the model's file has no tokeniser. */
export class NoTokenizerError extends GatefoldError {
  override readonly name = 'NoTokenizerError';
  constructor() {
    super('no-tokenizer', "The model's file has no tokeniser: text cannot be read or written. Give and take token ids, or use a file with a tokeniser.");
  }
}

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

/** Text was given or asked for, but the model's file has no tokeniser that is known. */
export class NoTokenizerError extends GatefoldError {
  override readonly name = 'NoTokenizerError';
  constructor(
    /** The file's `tokenizer.ggml.model`, where it has one. */
    readonly tokenizer: string | undefined,
  ) {
    const why = tokenizer === undefined ? 'has no tokeniser' : `has a tokeniser of the kind "${tokenizer}", which is not known`;
    super('no-tokenizer', `The model's file ${why}: text cannot be read or written. Give and take token ids (session.generate), or use a file with a tokeniser.`, { tokenizer });
  }
}

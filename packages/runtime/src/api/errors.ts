import { GatefoldError } from '../errors.ts';

/** A request to `completions.create` has a parameter that is unknown, missing or out of its range. */
export class RequestError extends GatefoldError {
  override readonly name = 'RequestError';
  constructor(
    /** The parameter, e.g. `top_p`, `messages[2].content`. */
    readonly field: string,
    /** What is wrong, and what would be right. */
    readonly problem: string,
  ) {
    super('bad-request', `${field} ${problem}.`, { field });
  }
}

/**
 * Base of every error that Gatefold throws on purpose. `code` survives the worker's port, where classes do not;
 * subclasses add fields. A message names the thing and the fix.
 */
export class GatefoldError extends Error {
  override readonly name: string = 'GatefoldError';
  constructor(
    readonly code: string,
    message: string,
    /** Plain data about the failure, e.g. `{ limit, needed, available }`. */
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

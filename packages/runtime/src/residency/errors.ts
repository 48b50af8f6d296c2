import { GatefoldError } from '../errors.ts';

/** A limit of the adapter is too small for this model. */
export class LimitError extends GatefoldError {
  override readonly name = 'LimitError';
  constructor(
    /** WebGPU's name of the limit, e.g. `maxStorageBufferBindingSize`. */
    readonly limit: string,
    readonly needed: number,
    readonly available: number,
    what: string,
  ) {
    super('limit-too-small', `${what} needs ${limit} ≥ ${needed}, but this adapter has ${available}. Use a smaller model or another GPU.`, {
      limit,
      needed,
      available,
    });
  }
}

/** The spec asks for something that the engine has no steps for. */
export class UnsupportedSpecError extends GatefoldError {
  override readonly name = 'UnsupportedSpecError';
  constructor(readonly arch: string, readonly feature: string) {
    super('unsupported-feature', `The model (${arch}) needs ${feature}, which this version does not run.`, { arch, feature });
  }
}

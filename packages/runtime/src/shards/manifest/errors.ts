import { GatefoldError } from '../../errors.ts';

/** A manifest cannot be read, or is about another file. */
export class ManifestError extends GatefoldError {
  override readonly name = 'ManifestError';
  constructor(readonly manifest: string, problem: string, options?: ErrorOptions) {
    super('manifest', `The manifest ${manifest} ${problem}. Make it anew with: gatefold manifest MODEL.gguf.`, { manifest }, options);
  }
}

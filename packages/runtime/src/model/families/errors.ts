import { GatefoldError } from '../../errors.ts';

/** The file's `general.architecture` is none that Gatefold runs. */
export class UnsupportedFamilyError extends GatefoldError {
  override readonly name = 'UnsupportedFamilyError';
  constructor(
    readonly family: string,
    readonly supported: readonly string[],
  ) {
    super('unsupported-family', `Models of the family "${family}" are not supported; supported: ${supported.join(', ')}.`, { family, supported });
  }
}

/** A metadata value that the family needs is missing or makes no sense. */
export class ModelMetadataError extends GatefoldError {
  override readonly name = 'ModelMetadataError';
  constructor(
    /** GGUF key. */
    readonly key: string,
    problem: string,
    readonly value?: number | string,
  ) {
    super('model-metadata', `Metadata key ${key} ${problem}. The model file is damaged or was converted by a tool that does not know this family.`, { key, value });
  }
}

/** A tensor is missing or has another shape than the metadata says. */
export class ModelTensorError extends GatefoldError {
  override readonly name = 'ModelTensorError';
  constructor(
    readonly tensor: string,
    /** Outermost dimension first. */
    readonly expected: readonly number[],
    /** Undefined where the file has no such tensor. */
    readonly found: readonly number[] | undefined,
    problem = found ? `has shape [${found.join(', ')}] instead of [${expected.join(', ')}]` : `of shape [${expected.join(', ')}] is missing`,
  ) {
    super('model-tensor', `Tensor ${tensor} ${problem}. The model file is damaged or was converted by a tool that does not know this family.`, { tensor, expected, found });
  }
}

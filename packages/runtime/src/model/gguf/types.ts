import type { ByteSource } from '../../shards/source.ts';

/**
 * A GGUF metadata value. Integers of 64 bits beyond the safe range stay bigint. Arrays of up to 32-bit numbers and of
 * floats are typed arrays, arrays of booleans are Uint8Arrays of 0 and 1, all others plain arrays. Arrays do not nest.
 */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[] | ArrayLike<number>;

/** One tensor of a GGUF file. */
export interface TensorInfo {
  readonly name: string;
  /** Number in ggml's `enum ggml_type`. */
  readonly type: number;
  /** Outermost dimension first (the reverse of GGUF's ne order): a matrix is [rows, cols], stacked experts [E, rows, cols]. */
  readonly shape: readonly number[];
  /** Which file of a split model holds it: index into `GgufModel.files`. */
  readonly file: number;
  /** Absolute byte offset in that file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Header of a GGUF model, of one file or several. Holds no weights. */
export interface GgufModel {
  readonly version: 2 | 3;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The files in split order; tensor data starts at `headerBytes`. */
  readonly files: readonly { readonly source: ByteSource; readonly headerBytes: number }[];
}

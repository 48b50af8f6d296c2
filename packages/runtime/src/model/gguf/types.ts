/** A GGUF metadata value; integers of 64 bits beyond the safe range stay bigint. */
export type GgufValue = number | bigint | boolean | string | GgufValue[] | ArrayLike<number>;

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
  /** The files in split order, each with its size where known. */
  readonly files: readonly { readonly source: import('../../shards/source.ts').ByteSource; readonly headerBytes: number }[];
}

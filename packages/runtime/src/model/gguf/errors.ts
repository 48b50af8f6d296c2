import { GatefoldError } from '../../errors.ts';
import { DECODABLE_TYPES } from './ggml-types.ts';

const DAMAGED = 'The file is damaged or hostile; get it again from a source that you trust.';

/** What to do about each kind of refusal. */
const FIXES = {
  'gguf-magic': 'Give the address or path of a .gguf file (a web page or a safetensors file is none).',
  'gguf-version': 'Convert the model again with a current llama.cpp.',
  'gguf-byte-order': 'Convert it to little-endian, e.g. with gguf_convert_endian.py of llama.cpp.',
  'gguf-truncated': 'The download is incomplete or the file is damaged; get it again.',
  'gguf-limit': DAMAGED,
  'gguf-value': DAMAGED,
  'gguf-duplicate': DAMAGED,
  'gguf-tensor': DAMAGED,
  'gguf-split': 'All parts of a split model must come from one download and lie side by side under their own names.',
} as const;

export type GgufErrorCode = keyof typeof FIXES;

/** Numbers behind a refusal, where there are any. */
export interface GgufErrorFields {
  /** Byte offset in the file. */
  readonly offset?: number;
  /** Bound that was exceeded. */
  readonly limit?: number;
  /** What the file says. */
  readonly value?: number | bigint | string;
}

/** A GGUF file is refused. */
export class GgufError extends GatefoldError {
  override readonly name = 'GgufError';
  readonly offset: number | undefined;
  readonly limit: number | undefined;
  readonly value: number | bigint | string | undefined;

  constructor(
    override readonly code: GgufErrorCode,
    /** Name of the file's source. */
    readonly file: string,
    /** Which field or tensor is wrong, e.g. `tensor count`, `tensor blk.0.attn_q.weight`. */
    readonly what: string,
    problem: string,
    fields: GgufErrorFields = {},
    options?: ErrorOptions,
  ) {
    const at = fields.offset === undefined ? '' : ` (at byte ${fields.offset})`;
    super(code, `${file}: ${what} ${problem}${at}. ${FIXES[code]}`, { file, what, ...fields }, options);
    this.offset = fields.offset;
    this.limit = fields.limit;
    this.value = fields.value;
  }
}

/** A tensor has a type that the engine cannot compute with, or that ggml does not have. */
export class UnsupportedTensorTypeError extends GatefoldError {
  override readonly name = 'UnsupportedTensorTypeError';
  constructor(
    readonly tensor: string,
    /** ggml's name of the type, or `type N` where it has none. */
    readonly type: string,
    readonly supported: readonly string[] = DECODABLE_TYPES,
  ) {
    super('unsupported-tensor-type', `Tensor ${tensor} has type ${type}, supported here: ${supported.join(', ')}. Choose another quantisation of the model, e.g. Q4_K_M.`, {
      tensor,
      type,
      supported,
    });
  }
}

import type { HeaderBytes } from './header-bytes.ts';
import { MAX_ARRAY_LENGTH, MAX_ARRAY_NESTING, MAX_KEY_BYTES, MAX_STRING_BYTES } from './limits.ts';
import type { GgufValue } from './types.ts';

/** GGUF's `gguf_metadata_value_type`. */
const U8 = 0;
const I8 = 1;
const U16 = 2;
const I16 = 3;
export const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const U64 = 10;
const I64 = 11;
const F64 = 12;

/** Smallest bytes that a value of each type takes; undefined where there is no such type. */
const MIN_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

/** Key (of one byte at least), type and value. */
export const MIN_PAIR_BYTES = 8 + 1 + 4 + 1;

export interface MetadataPair {
  readonly key: string;
  /** Number of the value's type. */
  readonly type: number;
  readonly value: GgufValue;
}

/** The next metadata pair. Throws `GgufError`. */
export function readPair(bytes: HeaderBytes): MetadataPair {
  const key = bytes.string(MAX_KEY_BYTES, 'a metadata key', true);
  if (key === '') bytes.fail('gguf-value', 'a metadata key', 'is empty');
  const type = bytes.u32(`type of ${key}`);
  return { key, type, value: readValue(bytes, type, key) };
}

/** Bytes that a value of this type takes at least; refuses types that GGUF does not have. */
function minBytes(bytes: HeaderBytes, type: number, what: string): number {
  return MIN_BYTES[type] ?? bytes.fail('gguf-value', `type of ${what}`, `is ${type}, which GGUF does not have`, { value: type });
}

function readValue(bytes: HeaderBytes, type: number, what: string): GgufValue {
  if (type === STRING) return bytes.string(MAX_STRING_BYTES, what);
  if (type === ARRAY) return readArray(bytes, what);
  const at = bytes.take(minBytes(bytes, type, what), what);
  const { view } = bytes;
  switch (type) {
    case U8:
      return view.getUint8(at);
    case I8:
      return view.getInt8(at);
    case U16:
      return view.getUint16(at, true);
    case I16:
      return view.getInt16(at, true);
    case U32:
      return view.getUint32(at, true);
    case I32:
      return view.getInt32(at, true);
    case F32:
      return view.getFloat32(at, true);
    case F64:
      return view.getFloat64(at, true);
    case U64:
      return exact(view, at, view.getUint32(at + 4, true));
    case I64:
      return exact(view, at, view.getInt32(at + 4, true));
    default:
      return readBool(bytes, view.getUint8(at), what);
  }
}

/** A 64-bit integer, bigint only where a number would round it. @param high its upper half, signed or not */
function exact(view: DataView, at: number, high: number): number | bigint {
  const low = view.getUint32(at, true);
  const number = high * 2 ** 32 + low;
  return Number.isSafeInteger(number) ? number : (BigInt(high) << 32n) + BigInt(low);
}

function readBool(bytes: HeaderBytes, byte: number, what: string): boolean {
  if (byte > 1) bytes.fail('gguf-value', what, `is a boolean of value ${byte}`, { value: byte });
  return byte === 1;
}

/** Numbers come as typed arrays, booleans as bytes 0 and 1, since a JavaScript array would take many times the file's bytes. */
function readArray(bytes: HeaderBytes, what: string): GgufValue {
  const type = bytes.u32(`element type of ${what}`);
  if (type === ARRAY) bytes.fail('gguf-limit', what, 'is an array of arrays', { limit: MAX_ARRAY_NESTING });
  const elementBytes = minBytes(bytes, type, `elements of ${what}`);
  const length = bytes.checkCount(bytes.u64(`length of ${what}`), elementBytes, MAX_ARRAY_LENGTH, `length of ${what}`);
  if (type === STRING) return readStrings(bytes, length, what);
  if (type === U64 || type === I64) return Array.from({ length }, () => readValue(bytes, type, what));
  const raw = bytes.copy(length * elementBytes, what);
  switch (type) {
    case I8:
      return new Int8Array(raw);
    case U16:
      return new Uint16Array(raw);
    case I16:
      return new Int16Array(raw);
    case U32:
      return new Uint32Array(raw);
    case I32:
      return new Int32Array(raw);
    case F32:
      return new Float32Array(raw);
    case F64:
      return new Float64Array(raw);
    case BOOL:
      for (const flag of new Uint8Array(raw)) readBool(bytes, flag, what);
  }
  return new Uint8Array(raw);
}

/** Goes over all lengths first: where bytes are still missing, nothing has been decoded in vain. */
function readStrings(bytes: HeaderBytes, length: number, what: string): string[] {
  const start = bytes.offset;
  for (let i = 0; i < length; i++) bytes.skipString(MAX_STRING_BYTES, what);
  bytes.offset = start;
  return Array.from({ length }, () => bytes.string(MAX_STRING_BYTES, what));
}

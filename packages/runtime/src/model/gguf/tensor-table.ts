import { UnsupportedTensorTypeError } from './errors.ts';
import { ggmlType } from './ggml-types.ts';
import type { HeaderBytes } from './header-bytes.ts';
import { MAX_DIMENSIONS, MAX_TENSOR_NAME_BYTES } from './limits.ts';
import type { TensorInfo } from './types.ts';

/** Name, number of dimensions, one dimension, type and offset. */
export const MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8;

/** A tensor as the header has it: `offset` is still relative to the data section. */
export type TensorEntry = Omit<TensorInfo, 'file'>;

/** The next tensor info. Throws `GgufError`, `UnsupportedTensorTypeError`. */
export function readTensorEntry(bytes: HeaderBytes): TensorEntry {
  const name = bytes.string(MAX_TENSOR_NAME_BYTES, 'a tensor name', true);
  const what = `tensor ${name}`;
  const dimensions = bytes.u32(`dimensions of ${what}`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    bytes.fail('gguf-tensor', what, `has ${dimensions} dimensions instead of 1 to ${MAX_DIMENSIONS}`, { limit: MAX_DIMENSIONS, value: dimensions });
  }
  const ne = Array.from({ length: dimensions }, (_, i) => bytes.size(`dimension ${i} of ${what}`));
  const type = bytes.u32(`type of ${what}`);
  const offset = bytes.size(`offset of ${what}`);
  return { name, type, shape: ne.toReversed(), offset, byteLength: tensorBytes(bytes, name, ne, type) };
}

/** Bytes of a tensor of these dimensions (innermost first), with no product ever past what a number holds exactly. */
function tensorBytes(bytes: HeaderBytes, name: string, ne: readonly number[], type: number): number {
  const format = ggmlType(type);
  if (!format) throw new UnsupportedTensorTypeError(name, `type ${type}`);
  const what = `tensor ${name}`;
  const [columns = 0] = ne;
  if (columns % format.blockSize !== 0) {
    bytes.fail('gguf-tensor', what, `has rows of ${columns} weights, no multiple of ${format.name}'s blocks of ${format.blockSize}`, { value: columns });
  }
  let weights = 1;
  for (const dimension of ne) {
    if (dimension === 0) bytes.fail('gguf-tensor', what, 'has a dimension of 0', { value: 0 });
    if (dimension > Number.MAX_SAFE_INTEGER / format.blockBytes / weights) {
      bytes.fail('gguf-limit', what, `has ${ne.join(' × ')} weights, beyond any real file`, { limit: Number.MAX_SAFE_INTEGER, value: dimension });
    }
    weights *= dimension;
  }
  return (weights / format.blockSize) * format.blockBytes;
}

/** Checks where the tensors lie and makes their offsets absolute. @param dataStart where the data section starts */
export function placeTensors(bytes: HeaderBytes, entries: readonly TensorEntry[], dataStart: number, alignment: number, file: number): TensorInfo[] {
  const { size = Number.MAX_SAFE_INTEGER } = bytes.source;
  const placed = entries.map((entry) => {
    const { offset, byteLength } = entry;
    const what = `tensor ${entry.name}`;
    if (offset % alignment !== 0) bytes.fail('gguf-tensor', what, `lies at ${offset}, which is not aligned to ${alignment}`, { value: offset, limit: alignment });
    if (byteLength > size - dataStart - offset) {
      bytes.fail('gguf-truncated', what, `needs ${byteLength} bytes at ${dataStart + offset}, but the file has ${size}`, { offset: dataStart + offset, limit: size, value: byteLength });
    }
    return { ...entry, file, offset: dataStart + offset };
  });
  let end = 0;
  for (const { name, offset, byteLength } of placed.toSorted((a, b) => a.offset - b.offset)) {
    if (offset < end) bytes.fail('gguf-tensor', `tensor ${name}`, 'overlaps another tensor', { offset });
    end = offset + byteLength;
  }
  return placed;
}

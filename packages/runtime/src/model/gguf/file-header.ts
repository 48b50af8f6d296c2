import type { ByteSource } from '../../shards/source.ts';
import { HeaderBytes, type HeaderReadOptions } from './header-bytes.ts';
import { MAX_ALIGNMENT, MAX_METADATA_PAIRS, MAX_TENSORS, MIN_ALIGNMENT } from './limits.ts';
import { MIN_PAIR_BYTES, readPair, U32, type MetadataPair } from './metadata.ts';
import { MIN_TENSOR_BYTES, placeTensors, readTensorEntry, type TensorEntry } from './tensor-table.ts';
import type { GgufValue, TensorInfo } from './types.ts';

/** "GGUF", read as a little-endian number. */
const MAGIC = 0x46554747;
const DEFAULT_ALIGNMENT = 32;

/** Header of one file. */
export interface FileHeader {
  readonly version: 2 | 3;
  readonly metadata: Map<string, GgufValue>;
  readonly tensors: readonly TensorInfo[];
  /** Where the data section starts. */
  readonly headerBytes: number;
}

/**
 * Reads and checks the header of one GGUF file of version 2 or 3, little endian. Format: ggml's docs/gguf.md.
 * @param file index that its tensors get
 */
export async function readFileHeader(source: ByteSource, file: number, options: HeaderReadOptions): Promise<FileHeader> {
  const bytes = new HeaderBytes(source, options);
  const { version, tensorCount, pairCount } = await bytes.parse(() => readCounts(bytes));
  const { metadata, alignment } = await readMetadata(bytes, pairCount);
  const entries = await readTensorEntries(bytes, tensorCount);
  const headerBytes = Math.ceil(bytes.offset / alignment) * alignment;
  return { version, metadata, tensors: placeTensors(bytes, entries, headerBytes, alignment, file), headerBytes };
}

function readCounts(bytes: HeaderBytes): { version: 2 | 3; tensorCount: number; pairCount: number } {
  if (bytes.u32('the magic') !== MAGIC) bytes.fail('gguf-magic', 'the file', 'does not start with "GGUF"', { offset: 0 });
  const version = bytes.u32('the version');
  if (version !== 0 && (version & 0xffff) === 0) bytes.fail('gguf-byte-order', 'the file', 'is big-endian', { offset: 4, value: version });
  if (version !== 2 && version !== 3) bytes.fail('gguf-version', 'the file', `is of GGUF version ${version}; versions 2 and 3 can be read`, { offset: 4, value: version });
  const tensorCount = bytes.u64('the tensor count');
  const pairCount = bytes.u64('the metadata count');
  return {
    version,
    tensorCount: bytes.checkCount(tensorCount, MIN_TENSOR_BYTES, MAX_TENSORS, 'the tensor count'),
    pairCount: bytes.checkCount(pairCount, MIN_PAIR_BYTES, MAX_METADATA_PAIRS, 'the metadata count'),
  };
}

async function readMetadata(bytes: HeaderBytes, count: number): Promise<{ metadata: Map<string, GgufValue>; alignment: number }> {
  const metadata = new Map<string, GgufValue>();
  let alignment = DEFAULT_ALIGNMENT;
  for (let i = 0; i < count; i++) {
    const pair = await bytes.parse(() => readPair(bytes));
    if (metadata.has(pair.key)) bytes.fail('gguf-duplicate', `metadata key ${pair.key}`, 'is there twice');
    if (pair.key === 'general.alignment') alignment = checkAlignment(bytes, pair);
    metadata.set(pair.key, pair.value);
  }
  return { metadata, alignment };
}

function checkAlignment(bytes: HeaderBytes, { key, type, value }: MetadataPair): number {
  if (type !== U32 || typeof value !== 'number') return bytes.fail('gguf-value', key, 'is not an unsigned 32-bit number');
  const isPowerOfTwo = Number.isInteger(Math.log2(value));
  if (isPowerOfTwo && value >= MIN_ALIGNMENT && value <= MAX_ALIGNMENT) return value;
  return bytes.fail('gguf-value', key, `is ${value}, not a power of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT}`, { limit: MAX_ALIGNMENT, value });
}

async function readTensorEntries(bytes: HeaderBytes, count: number): Promise<TensorEntry[]> {
  const entries: TensorEntry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const entry = await bytes.parse(() => readTensorEntry(bytes));
    if (names.has(entry.name)) bytes.fail('gguf-duplicate', `tensor ${entry.name}`, 'is there twice');
    names.add(entry.name);
    entries.push(entry);
  }
  return entries;
}

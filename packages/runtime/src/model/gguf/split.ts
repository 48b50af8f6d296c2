import type { ByteSource } from '../../shards/source.ts';
import { GgufError, UnsupportedTensorTypeError } from './errors.ts';
import { readFileHeader, type FileHeader } from './file-header.ts';
import type { HeaderReadOptions } from './header-bytes.ts';
import { MAX_SPLIT_FILES } from './limits.ts';
import type { GgufValue } from './types.ts';

/** Headers that are fetched at a time: a part's takes at least half a megabyte while it is read. */
const PARALLEL_PARTS = 8;

/** One file of a model with what its header says. */
export interface OpenFile {
  readonly source: ByteSource;
  readonly header: FileHeader;
}

/** What a file says of the split that it is a part of. */
interface SplitInfo {
  /** `split.no`, from 0. */
  readonly index: number;
  /** `split.count`. */
  readonly count: number;
  /** File name of a part. */
  readonly partName: (index: number) => string;
}

/**
 * The split that a file is a part of; undefined for a whole model. Parts are named `prefix-00001-of-0000N.gguf`
 * (llama.cpp's gguf-split), and the number in the name must be the one in the header.
 */
export function splitInfo(source: ByteSource, metadata: ReadonlyMap<string, GgufValue>): SplitInfo | undefined {
  const count = metadata.get('split.count') ?? 1;
  if (count === 0 || count === 1) return undefined;
  const index = metadata.get('split.no');
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MAX_SPLIT_FILES) {
    throw new GgufError('gguf-split', source.name, 'split.count', `is ${String(count)}, not a number up to ${MAX_SPLIT_FILES}`, { limit: MAX_SPLIT_FILES });
  }
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= count) {
    throw new GgufError('gguf-split', source.name, 'split.no', `is ${String(index)}, not a number below split.count (${count})`, { limit: count });
  }
  const [, prefix, number, total] = /([^/\\?#]*)-(\d{5})-of-(\d{5})\.gguf(?=$|[?#])/.exec(source.name) ?? [];
  if (Number(number) !== index + 1 || Number(total) !== count) {
    throw new GgufError('gguf-split', source.name, 'the file', `is part ${index + 1} of ${count}, so its name must end in -${partNumber(index + 1)}-of-${partNumber(count)}.gguf`);
  }
  return { index, count, partName: (part) => `${prefix}-${partNumber(part + 1)}-of-${partNumber(count)}.gguf` };
}

const partNumber = (value: number): string => String(value).padStart(5, '0');

/** Opens all parts after the first. Throws as `openPart`. */
export async function openOtherParts(first: ByteSource, split: SplitInfo, options: HeaderReadOptions): Promise<OpenFile[]> {
  const parts: OpenFile[] = [];
  while (parts.length < split.count - 1) {
    const batch = Array.from({ length: Math.min(PARALLEL_PARTS, split.count - 1 - parts.length) }, (_, i) => parts.length + 1 + i);
    parts.push(...(await Promise.all(batch.map((index) => openPart(first, index, split, options)))));
  }
  return parts;
}

/**
 * Opens one part of a split model, found beside another one.
 * Throws `GgufError` 'gguf-split' naming the part where it is missing or does not belong.
 */
export async function openPart(beside: ByteSource, index: number, { count, partName }: SplitInfo, options: HeaderReadOptions): Promise<OpenFile> {
  const name = partName(index);
  let source: ByteSource;
  let header: FileHeader;
  try {
    source = beside.sibling(name);
    header = await readFileHeader(source, index, options);
  } catch (cause) {
    if (options.signal?.aborted || cause instanceof GgufError || cause instanceof UnsupportedTensorTypeError) throw cause;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new GgufError('gguf-split', name, `part ${index + 1} of ${count}`, `could not be read: ${problem}`, {}, { cause });
  }
  const info = splitInfo(source, header.metadata);
  if (info?.index !== index || info.count !== count) throw new GgufError('gguf-split', name, 'the file', `is not part ${index + 1} of a model of ${count} files`);
  return { source, header };
}

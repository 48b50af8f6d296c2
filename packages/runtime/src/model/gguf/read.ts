import type { ByteSource } from '../../shards/source.ts';
import { GgufError } from './errors.ts';
import { readFileHeader } from './file-header.ts';
import type { HeaderReadOptions } from './header-bytes.ts';
import type { OpenFile } from './split.ts';
import type { GgufModel, TensorInfo } from './types.ts';

/**
 * Reads the header of a GGUF model: of one file, or of all parts of a split one, whichever part is given.
 * Fetches the header only, in growing pieces; no weights.
 *
 * Throws `GgufError` for a file that is damaged, hostile, or not little-endian GGUF v2 or v3, and for splits that
 * do not fit together; `UnsupportedTensorTypeError` for a tensor of a type that ggml does not have; and whatever the
 * source throws.
 */
export async function readGguf(source: ByteSource, options: HeaderReadOptions = {}): Promise<GgufModel> {
  const given: OpenFile = { source, header: await readFileHeader(source, 0, options) };
  const count = given.header.metadata.get('split.count') ?? 1;
  if (count === 0 || count === 1) return mergeFiles(given, []);
  // Few models are split: what that takes loads when one is.
  const { openOtherParts, openPart, splitInfo } = await import('./split.ts');
  const split = splitInfo(source, given.header.metadata);
  if (!split) return mergeFiles(given, []);
  const first = split.index === 0 ? given : await openPart(source, 0, split, options);
  return mergeFiles(first, await openOtherParts(first.source, split, options));
}

/** One model out of its files: metadata of the first, tensors of all. */
function mergeFiles(first: OpenFile, others: readonly OpenFile[]): GgufModel {
  const files = [first, ...others];
  const tensors = new Map<string, TensorInfo>();
  for (const { source, header } of files) {
    for (const tensor of header.tensors) {
      if (tensors.has(tensor.name)) throw new GgufError('gguf-duplicate', source.name, `tensor ${tensor.name}`, 'is in another part of the model too');
      tensors.set(tensor.name, tensor);
    }
  }
  const { version, metadata } = first.header;
  const expected = metadata.get('split.tensors.count');
  if (others.length > 0 && expected !== undefined && expected !== tensors.size) {
    throw new GgufError('gguf-split', first.source.name, 'split.tensors.count', `is ${String(expected)}, but the ${files.length} files have ${tensors.size} tensors`);
  }
  return { version, metadata, tensors, files: files.map(({ source, header }) => ({ source, headerBytes: header.headerBytes })) };
}

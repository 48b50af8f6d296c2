import type { GgufModel } from '../model/gguf/types.ts';
import { sha256 } from './hash.ts';
import type { ReadOptions } from './source.ts';

/** Looks at a file that has no version: enough that two sets of weights with one tensor table cannot pass for each other. */
const SAMPLES = 8;
const SAMPLE_BYTES = 1024;

/**
 * The model's identity: 32 hex digits of a SHA-256 over its tensor table, the files' sizes and their versions (ETag,
 * date). Files whose place tells no version are told apart by samples of their weights, so that a Blob that is opened
 * again, by whatever name, is the same model.
 * @param options for the reads of samples. Throws what the sources throw.
 */
export async function modelIdentity(model: GgufModel, options: ReadOptions = {}): Promise<string> {
  const tensors = Array.from(model.tensors.values(), ({ name, type, shape, file, offset, byteLength }) => [name, type, shape, file, offset, byteLength]);
  const files = await Promise.all(
    model.files.map(async ({ source, headerBytes }, file) => {
      const version = (await source.version()) ?? (await sampleHash(model, file, options));
      return [source.size ?? 0, headerBytes, version];
    }),
  );
  const hash = await sha256(new TextEncoder().encode(JSON.stringify([tensors, files])));
  return hash.slice(0, 32);
}

/** Hash of short pieces that are spread evenly over a file's weights, the first and the last bytes among them. */
async function sampleHash({ tensors, files }: GgufModel, file: number, options: ReadOptions): Promise<string> {
  const opened = files[file];
  if (!opened) throw new TypeError(`the model has no file ${file}`);
  const { source, headerBytes: start } = opened;
  let end = start;
  for (const tensor of tensors.values()) if (tensor.file === file) end = Math.max(end, tensor.offset + tensor.byteLength);
  const length = Math.min(SAMPLE_BYTES, end - start);
  const step = (end - start - length) / (SAMPLES - 1);
  const samples = await Promise.all(Array.from({ length: SAMPLES }, (_, i) => source.read(start + Math.floor(i * step), length, options)));
  return sha256(new Uint8Array(await new Blob(samples).arrayBuffer()));
}

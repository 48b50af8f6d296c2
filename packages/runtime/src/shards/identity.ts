import type { GgufModel } from '../model/gguf/types.ts';
import { sha256 } from './hash.ts';
import type { ByteSource } from './source.ts';

/** Looks at a file that has no version: enough that two sets of weights with one tensor table cannot pass for each other. */
const SAMPLES = 8;
const SAMPLE_BYTES = 1024;

/**
 * The model's identity: 32 hex digits of a SHA-256 over its tensor table, the files' sizes and their versions (ETag,
 * date). Files whose place tells no version are told apart by samples of their bytes, so that a Blob that is opened
 * again, by whatever name, is the same model.
 */
export async function modelIdentity(model: GgufModel, signal?: AbortSignal): Promise<string> {
  const tensors = Array.from(model.tensors.values(), ({ name, type, shape, file, offset, byteLength }) => [name, type, shape, file, offset, byteLength]);
  const files = await Promise.all(
    model.files.map(async ({ source, headerBytes }) => {
      const version = (await source.version()) ?? (await sampleHash(source, headerBytes, signal));
      return [source.size ?? 0, headerBytes, version];
    }),
  );
  const hash = await sha256(new TextEncoder().encode(JSON.stringify([tensors, files])));
  return hash.slice(0, 32);
}

/** Hash of short pieces that are spread over the file's weights, the last bytes among them. */
async function sampleHash(source: ByteSource, start: number, signal: AbortSignal | undefined): Promise<string> {
  const end = source.size ?? start;
  const length = Math.min(SAMPLE_BYTES, Math.max(0, end - start));
  const step = (end - start - length) / (SAMPLES - 1);
  const samples = await Promise.all(Array.from({ length: SAMPLES }, (_, i) => source.read(start + Math.floor(i * step), length, signal ? { signal } : {})));
  return sha256(new Uint8Array(await new Blob(samples).arrayBuffer()));
}

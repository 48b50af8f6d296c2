import { join } from 'node:path';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import type { LoadOptions } from '../../src/api/types.ts';
import type { ByteSource } from '../../src/shards/source.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import type { ShardStore } from '../../src/shards/store/store.ts';
import { openGpu, openOn, type OpenFixture, type TestGpu } from './open-on.ts';

export type { OpenFixture };

/** Positions of a fixture's KV cache: enough for its prompts, and for what the references go on with. */
export const CONTEXT = 256;

let shared: Promise<TestGpu> | undefined;

/** The device of this test file. */
export function sharedGpu(): Promise<TestGpu> {
  return (shared ??= openGpu(dawnGpu()));
}

/** A fixture's model on Node's Dawn, all weights resident unless the options say otherwise. */
export function openFixture(folder: string, options: LoadOptions = {}): Promise<OpenFixture> {
  return openFile(join(folder, 'model.gguf'), options);
}

/** A GGUF file on Node's Dawn. */
export function openFile(path: string, options: LoadOptions = {}): Promise<OpenFixture> {
  return openSource(new PathSource(path), options);
}

export async function openSource(source: ByteSource, options: LoadOptions = {}, store?: ShardStore): Promise<OpenFixture> {
  return openOn(await sharedGpu(), source, options, store);
}

/** As `openFixture`, on a device of its own. */
export async function openAlone(folder: string, options: LoadOptions = {}): Promise<OpenFixture & Pick<TestGpu, 'device'>> {
  const gpu = await openGpu(dawnGpu());
  return { ...(await openOn(gpu, new PathSource(join(folder, 'model.gguf')), options)), device: gpu.device };
}

import type { RouterTrace } from '../../model/router-trace.ts';
import { sha256 } from '../hash.ts';
import { openModel } from '../open-model.ts';
import type { ShardPlan } from '../shard.ts';
import type { ByteSource } from '../source.ts';
import { NO_STORE } from '../store/none.ts';
import { makeManifest, promisesOf, type ShardManifest } from './manifest.ts';

export interface CheckOptions {
  readonly signal?: AbortSignal;
  /** How much has been read. */
  readonly onProgress?: (bytes: number, bytesTotal: number) => void;
}

/** Reads a whole model and writes down its shards' hashes. Throws what reading a model throws. */
export async function createManifest(source: ByteSource, options: CheckOptions & { readonly trace?: RouterTrace } = {}): Promise<ShardManifest> {
  const { plan, hashes } = await hashModel(source, options);
  return makeManifest(plan, hashes, options.trace);
}

/** Reads a whole model; the ids of shards whose bytes are not those that the manifest promises. Throws `ManifestError` too. */
export async function verifyModel(source: ByteSource, manifest: ShardManifest, name: string, options: CheckOptions = {}): Promise<{ readonly shards: number; readonly damaged: readonly string[] }> {
  const { plan, hashes } = await hashModel(source, options, (found) => void promisesOf(manifest, found, name));
  const promised = promisesOf(manifest, plan, name);
  return { shards: plan.shards.length, damaged: plan.shards.flatMap(({ id }) => (promised.get(id)?.sha256 === hashes.get(id) ? [] : [id])) };
}

async function hashModel(source: ByteSource, { signal, onProgress }: CheckOptions, check: (plan: ShardPlan) => void = () => {}): Promise<{ readonly plan: ShardPlan; readonly hashes: ReadonlyMap<string, string> }> {
  const options = signal ? { signal } : {};
  const { loader } = await openModel(source, NO_STORE, options);
  check(loader.plan);
  const bytesTotal = loader.plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const hashes = new Map<string, string>();
  let bytesRead = 0;
  await loader.readAll(
    loader.plan.shards,
    async ({ id }, bytes) => {
      hashes.set(id, await sha256(bytes));
      onProgress?.((bytesRead += bytes.length), bytesTotal);
    },
    options,
  );
  return { plan: loader.plan, hashes };
}

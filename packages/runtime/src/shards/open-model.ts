import { withoutPredictionLayers } from '../model/families/prediction-layers.ts';
import { readGguf } from '../model/gguf/read.ts';
import type { GgufModel } from '../model/gguf/types.ts';
import { ShardLoader, type LoaderOptions } from './loader.ts';
import { planShards } from './plan.ts';
import { RecordedSource } from './recorded-source.ts';
import type { ByteSource } from './source.ts';
import { HttpSource } from './sources/http.ts';
import { ModelStore } from './store/model-store.ts';
import type { ShardStore } from './store/store.ts';

export interface OpenModelOptions extends Omit<LoaderOptions, 'headerBytesFetched'> {
  /** Looks for a manifest beside a URL where not all shards are stored; default false. */
  readonly useManifest?: boolean;
  readonly signal?: AbortSignal;
}

export interface OpenedModel {
  readonly gguf: GgufModel;
  /** How often a recorded trace used each expert, by shard id; where a manifest tells. */
  readonly uses: ReadonlyMap<string, number>;
  readonly loader: ShardLoader;
}

/**
 * Reads a model's header (from the store, where a URL was opened before) and plans its shards; fetches no weights.
 * Throws `SourceError`, `GgufError`, and the signal's reason.
 */
export async function openModel(source: ByteSource, store: ShardStore, options: OpenModelOptions = {}): Promise<OpenedModel> {
  // Files and Blobs are at hand anyway: only what comes over the network is worth recording.
  const recorded = source instanceof HttpSource && store.kind !== 'none' ? new RecordedSource(source, store) : undefined;
  let headerBytesFetched = 0;
  const onBytes = (bytes: number) => {
    headerBytesFetched += bytes;
    options.onProgress?.({ phase: 'header', bytes: headerBytesFetched, bytesTotal: headerBytesFetched, shards: 0, shardsTotal: 0, bytesFromStore: 0 });
  };
  const readOptions = { onBytes, ...(options.signal ? { signal: options.signal } : {}) };
  const gguf = withoutPredictionLayers(await readGguf(recorded ?? source, readOptions));
  const plan = await planShards(gguf, readOptions);
  const name = gguf.metadata.get('general.name');
  const entry = {
    id: plan.modelId,
    name: typeof name === 'string' ? name : source.name,
    source: source.name,
    bytesTotal: plan.shards.reduce((sum, { byteLength }) => sum + byteLength, 0),
    shardsTotal: plan.shards.length,
  };
  const modelStore = await ModelStore.open(store, entry, options.onWarning ?? (() => {}));
  if (recorded) await modelStore.attempt(() => recorded.keep(plan.modelId));
  const isWanted = options.useManifest === true && source instanceof HttpSource && !plan.shards.every((shard) => modelStore.has(shard));
  const promises = isWanted ? await (await import('./manifest/manifest-beside.ts')).manifestBeside(source.name, plan, options) : [];
  const manifest = promises.length > 0 ? Object.fromEntries(promises.map(({ id, sha256 }) => [id, sha256])) : options.manifest;
  const loader = new ShardLoader(plan, gguf.files.map((file) => file.source), modelStore, { ...options, ...(manifest ? { manifest } : {}), headerBytesFetched });
  const uses = new Map(promises.flatMap(({ id, uses: count }) => (count === undefined ? [] : [[id, count]])));
  return { gguf, uses, loader };
}

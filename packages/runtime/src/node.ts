import { fileURLToPath } from 'node:url';
import type { LoadOptions, Model, ModelSource } from './api/types.ts';
import { ServedModel } from './client/model.ts';
import { openSource } from './shards/sources/open.ts';
import { PathSource } from './shards/sources/path.ts';
import { loadModel, type OpenSource } from './worker/load-model.ts';
import type { LocalModelService } from './worker/service.ts';

/**
 * Loads a model in Node, without a worker.
 * @param source http(s) URL, path, or `file:` URL
 * @param options there is no IndexedDB, so `store` is 'none' unless asked for
 * @param gpu e.g. `create([])` of the npm package `webgpu`; its `globals` must have been assigned to `globalThis`.
 * Keep it referenced, and a timer running while waiting.
 */
export async function loadInNode(source: ModelSource, options: Omit<LoadOptions, 'worker'>, gpu: GPU): Promise<Model> {
  return ServedModel.of(await openInNode(source, options, gpu));
}

/** The same with the engine's inside in reach, for measurements. */
export function openInNode(source: ModelSource, options: Omit<LoadOptions, 'worker'>, gpu: GPU): Promise<LocalModelService> {
  return loadModel(opener(source), { store: 'none', ...options }, gpu);
}

function opener(source: ModelSource): OpenSource {
  const text = source instanceof URL ? source.href : source;
  if (typeof text !== 'string' || /^https?:/.test(text)) return (onWarning) => openSource(text, onWarning);
  return () => new PathSource(text.startsWith('file:') ? fileURLToPath(text) : text);
}

export { createManifest, verifyModel, type CheckOptions } from './shards/manifest/check-model.ts';
export { manifestName, parseManifest, type ShardManifest } from './shards/manifest/manifest.ts';
export { PathSource } from './shards/sources/path.ts';
export type { RouterTrace } from './model/router-trace.ts';

import type { LoadOptions, ModelService, ModelSource } from '../api/types.ts';
import { openSource } from '../shards/sources/open.ts';
import { loadModel } from './load-model.ts';

/** Loads a model in the thread that asks for it. As `loadModel`. */
export function loadInThread(source: ModelSource, options: LoadOptions): Promise<ModelService> {
  return loadModel((onWarning) => openSource(source, onWarning), options);
}

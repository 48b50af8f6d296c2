import type { LoadOptions, Model, ModelSource } from '../api/types.ts';
import { WorkerError } from './errors.ts';
import { ServedModel } from './model.ts';
import { absoluteSource } from './source.ts';
import { loadInWorker } from './worker-model.ts';

/**
 * Loads a model from a URL, or from Files that the person chose, in a worker of its own.
 *
 * When the GPU device is lost (driver reset, sleep), everything that the model is asked rejects with
 * `DeviceLostError`. Then `dispose` it and `load` again: the page need not be reloaded, and with a store nothing is
 * fetched again. The same holds for `WorkerError`.
 *
 * Throws `LoadOptionError`, `NoWebGpuError`, `NoAdapterError`, `NoWorkerGpuError`, `SourceError`, `GgufError`,
 * `UnsupportedFamilyError`, `ModelMetadataError`, `ModelTensorError`, `UnsupportedTensorTypeError`,
 * `UnsupportedSpecError`, `LimitError`, `OutOfGpuMemoryError`, `ShardHashError`, `DeviceLostError`, `WorkerError`,
 * and the signal's reason.
 */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  options.signal?.throwIfAborted();
  const absolute = absoluteSource(source);
  if (options.worker !== false) return ServedModel.of(await loadInWorker(startWorker(), absolute, options));
  const { loadInThread } = await import('../worker/in-thread.ts');
  return ServedModel.of(await loadInThread(absolute, options));
}

function startWorker(): Worker {
  if (typeof Worker === 'undefined') throw new WorkerError('there are no workers here; in Node use loadInNode of @gatefold/runtime/node');
  return new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module', name: 'gatefold' });
}

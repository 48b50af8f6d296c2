import { proxy, type ProxyMarked } from 'comlink';
import type { Deliver, LoadEvent, LoadOptions, ModelService, ModelSource } from '../api/types.ts';
import { EventBatcher } from '../port/event-batcher.ts';
import { openSource } from '../shards/sources/open.ts';
import { loadModel, type OpenSource } from './load-model.ts';

/** `LoadOptions` that can be in a message; callbacks and the signal have other ways. */
type PortLoadOptions = Omit<LoadOptions, 'worker' | 'signal' | 'onProgress' | 'onWarning' | 'onWarmUp'>;

/** What the page reaches in a model's worker: it loads one model and lives as long as that. */
export class ModelHost {
  readonly #closing = new AbortController();
  #loading: Promise<ModelService> | undefined;

  /** @param loadService what loads; another one in tests */
  constructor(readonly loadService: (open: OpenSource, options: LoadOptions) => Promise<ModelService> = loadModel) {}

  /** As `loadModel`. @param deliver gets progress while loading, and warnings as long as the model lives */
  async load(source: ModelSource, options: PortLoadOptions, deliver: Deliver<LoadEvent>): Promise<ModelService & ProxyMarked> {
    const events = new EventBatcher(deliver);
    this.#loading = this.loadService((onWarning) => openSource(source, onWarning), {
      ...options,
      signal: AbortSignal.any([this.#closing.signal, events.failure]),
      onProgress: (progress) => events.push({ progress }),
      onWarning: (warning) => events.push({ warning }),
      onWarmUp: (warmUp) => events.push({ warmUp }),
    });
    const service = await this.#loading;
    await events.flush();
    return proxy(service);
  }

  /** Ends loading, or disposes of the model; resolves when the GPU's memory is free. */
  async close(): Promise<void> {
    this.#closing.abort();
    const service = await this.#loading?.catch(() => undefined);
    await service?.dispose();
  }
}

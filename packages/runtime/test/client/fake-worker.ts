import { expose, type Endpoint } from 'comlink';
import type { LoadOptions, ModelService } from '../../src/api/types.ts';
import type { WorkerLike } from '../../src/client/worker-model.ts';
import { ERROR_CLASSES } from '../../src/port/error-classes.ts';
import { carryErrors } from '../../src/port/errors.ts';
import { ModelHost } from '../../src/worker/host.ts';

/** A worker without a thread: the host behind a message channel. */
export class FakeWorker implements WorkerLike {
  readonly #channel = new MessageChannel();
  readonly #events = new EventTarget();
  isTerminated = false;

  /** @param load what the host loads; undefined: a worker that never answers */
  constructor(load?: (options: LoadOptions) => Promise<ModelService>) {
    this.#channel.port1.start();
    if (!load) return;
    carryErrors(ERROR_CLASSES);
    expose(new ModelHost((_, options) => load(options)), this.#channel.port2 as unknown as Endpoint);
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#channel.port1.postMessage(message, transfer);
  }

  addEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    (type === 'message' ? this.#channel.port1 : this.#events).addEventListener(type, listener);
  }

  removeEventListener(type: string, listener: EventListenerOrEventListenerObject): void {
    (type === 'message' ? this.#channel.port1 : this.#events).removeEventListener(type, listener);
  }

  terminate(): void {
    this.isTerminated = true;
    this.#channel.port1.close();
  }

  /** What a browser tells when the worker's script throws. */
  die(message: string): void {
    this.#events.dispatchEvent(Object.assign(new Event('error'), { message }));
  }
}

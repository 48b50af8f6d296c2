import { proxy, transfer, wrap, type Endpoint, type ProxyMarked, type Remote } from 'comlink';
import type { RoomEngineOptions } from '../api/mesh.ts';
import type {
  ChatMessage,
  ChatTemplateOptions,
  Deliver,
  DetokenizeOptions,
  DownloadEvent,
  EvalOptions,
  EvalTensors,
  ExpertName,
  ExpertPlace,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  LoadEvent,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  ModelService,
  ModelSource,
  TokenizeOptions,
} from '../api/types.ts';
import { DisposedError, NoWebGpuError } from '../engine/errors.ts';
import { ERROR_CLASSES } from '../port/error-classes.ts';
import { carryErrors } from '../port/errors.ts';
import { Lifeline } from '../port/lifeline.ts';
import type { ModelHost } from '../worker/host.ts';
import { NoWorkerGpuError, WorkerError } from './errors.ts';

/** A worker that has not freed its memory by then is stopped as it is. */
const CLOSE_MS = 1000;

/** What is needed of a `Worker`. */
export type WorkerLike = Endpoint & Pick<Worker, 'terminate'>;

/**
 * Loads a model in a worker that runs `worker/main.ts`. The worker ends with the model, and when loading fails.
 * @param source absolute
 */
export async function loadInWorker(worker: WorkerLike, source: ModelSource, options: LoadOptions): Promise<ModelService> {
  const { signal, onProgress, onWarning, onWarmUp, worker: _, ...plain } = options;
  carryErrors(ERROR_CLASSES);
  const link = new WorkerLink(worker);
  const onAbort = () => link.lifeline.cut(signal?.reason);
  const deliver: Deliver<LoadEvent> = (events) => {
    for (const event of events) {
      if ('progress' in event) onProgress?.(event.progress);
      else if ('warmUp' in event) onWarmUp?.(event.warmUp);
      else onWarning?.(event.warning);
    }
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return new RemoteModelService(link, await link.lifeline.run(() => link.host.load(source, plain, proxy(deliver))));
  } catch (error) {
    await link.close();
    throw error instanceof NoWebGpuError && globalThis.navigator?.gpu ? new NoWorkerGpuError() : error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The page's end of a worker. */
class WorkerLink {
  readonly host: Remote<ModelHost>;
  readonly lifeline = new Lifeline();
  #closed: Promise<void> | undefined;

  constructor(readonly worker: WorkerLike) {
    this.host = wrap<ModelHost>(worker);
    const fail = (problem: string) => {
      this.#closed ??= Promise.resolve();
      this.lifeline.cut(new WorkerError(problem));
      worker.terminate();
    };
    worker.addEventListener('error', ((event: ErrorEvent) => fail(event.message || 'its script could not be loaded')) as EventListener);
    worker.addEventListener('messageerror', (() => fail('a message could not be read')) as EventListener);
  }

  /** Frees what the worker holds, then ends it. What still runs is rejected with `DisposedError`. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((done) => (timer = setTimeout(done, CLOSE_MS)));
    await Promise.race([this.host.close().catch(() => {}), late]);
    clearTimeout(timer);
    this.worker.terminate();
    this.lifeline.cut(new DisposedError('model'));
  }
}

/** The model in a worker. */
class RemoteModelService implements ModelService {
  constructor(
    readonly link: WorkerLink,
    readonly remote: Remote<ModelService & ProxyMarked>,
  ) {}

  info(): Promise<ModelInfo> {
    return this.link.lifeline.run(() => this.remote.info());
  }

  tokenize(text: string, options?: TokenizeOptions): Promise<number[]> {
    return this.link.lifeline.run(() => this.remote.tokenize(text, options));
  }

  detokenize(ids: readonly number[], options?: DetokenizeOptions): Promise<string> {
    return this.link.lifeline.run(() => this.remote.detokenize(ids, options));
  }

  tokenTexts(ids: readonly number[]): Promise<string[]> {
    return this.link.lifeline.run(() => this.remote.tokenTexts(ids));
  }

  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string> {
    return this.link.lifeline.run(() => this.remote.applyChatTemplate(messages, options));
  }

  createSession(): Promise<number> {
    return this.link.lifeline.run(() => this.remote.createSession());
  }

  disposeSession(session: number): Promise<void> {
    return this.link.lifeline.run(() => this.remote.disposeSession(session));
  }

  generate(session: number, request: GenerateRequest, deliver: Deliver<GenerateEvent>): Promise<GenerateResult> {
    return this.link.lifeline.run(() => this.remote.generate(session, request, proxy(deliver)));
  }

  abort(session: number): Promise<void> {
    return this.link.lifeline.run(() => this.remote.abort(session));
  }

  evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors> {
    return this.link.lifeline.run(() => this.remote.evaluate(ids, options));
  }

  memory(): Promise<MemoryUse> {
    return this.link.lifeline.run(() => this.remote.memory());
  }

  pinExperts(experts: readonly ExpertName[]): Promise<void> {
    return this.link.lifeline.run(() => this.remote.pinExperts(experts));
  }

  expertPlaces(): Promise<ExpertPlace[][]> {
    return this.link.lifeline.run(() => this.remote.expertPlaces());
  }

  download(deliver: Deliver<DownloadEvent>): Promise<void> {
    return this.link.lifeline.run(() => this.remote.download(proxy(deliver)));
  }

  stopDownload(): Promise<void> {
    return this.link.lifeline.run(() => this.remote.stopDownload());
  }

  attachRoom(port: MessagePort, options: RoomEngineOptions): Promise<void> {
    return this.link.lifeline.run(() => this.remote.attachRoom(transfer(port, [port]), options));
  }

  dispose(): Promise<void> {
    return this.link.close();
  }
}

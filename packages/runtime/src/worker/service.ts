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
  MemoryUse,
  ModelInfo,
  ModelService,
  TokenizeOptions,
} from '../api/types.ts';
import { DisposedError, SessionBusyError } from '../engine/errors.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { Session } from '../engine/session.ts';
import { moeLayers } from '../engine/session-buffers.ts';
import { EventBatcher } from '../port/event-batcher.ts';
import type { Lifeline } from '../port/lifeline.ts';
import type { SharingReader } from '../shards/shard.ts';
import { generateStats } from './generate-stats.ts';
import type { RoomEngine } from './room-engine.ts';
import type { ModelText } from './text.ts';
import type { WarmUp } from './warm-up.ts';

interface OpenSession {
  readonly session: Session;
  running: Running | undefined;
}

/** What a service does by itself. */
export interface Background {
  /** How often experts are used, by shard id, as far as is known. */
  readonly uses?: ReadonlyMap<string, number>;
  /** Where it is given, the rest of the model comes while the model is idle. */
  readonly warmUp?: (download: WarmUp['download']) => WarmUp;
}

interface Running {
  readonly abort: AbortController;
  readonly end: Promise<unknown>;
}

/** A loaded model with its tokeniser, as the page's side sees it through the port. Owns the model and its device. */
export class LocalModelService implements ModelService {
  readonly #sessions = new Map<number, OpenSession>();
  readonly #expertsPerToken: number;
  readonly #uses: ReadonlyMap<string, number>;
  readonly #warmUp: WarmUp | undefined;
  readonly #downloads = new Set<AbortController>();
  #nextSession = 1;
  #room: RoomEngine | undefined;
  #disposed = false;

  /** @param lifeline is cut when the model's device is lost */
  constructor(
    readonly model: LoadedModel,
    readonly lifeline: Lifeline,
    readonly reader: SharingReader,
    readonly text: ModelText,
    readonly modelInfo: ModelInfo,
    background: Background = {},
  ) {
    this.#uses = background.uses ?? new Map();
    this.#warmUp = background.warmUp?.((signal, onEvent) => this.#download(signal, onEvent));
    this.#expertsPerToken = moeLayers(model.spec).reduce((sum, { ffn }) => sum + ffn.topK, 0);
  }

  async info(): Promise<ModelInfo> {
    return this.modelInfo;
  }

  tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    return this.#run(async () => this.text.tokenizer.encode(text, options));
  }

  detokenize(ids: readonly number[], options: DetokenizeOptions = {}): Promise<string> {
    return this.#run(async () => this.text.tokenizer.decode(ids, options));
  }

  tokenTexts(ids: readonly number[]): Promise<string[]> {
    return this.#run(async () => ids.map((id) => this.text.tokenizer.decode([id], { special: true, continued: true })));
  }

  applyChatTemplate(messages: readonly ChatMessage[], { addGenerationPrompt = true }: ChatTemplateOptions = {}): Promise<string> {
    return this.#run(() => this.text.render(messages, addGenerationPrompt));
  }

  createSession(): Promise<number> {
    return this.#run(async () => {
      const session = await this.model.createSession();
      const id = this.#nextSession++;
      this.#sessions.set(id, { session, running: undefined });
      return id;
    });
  }

  async disposeSession(id: number): Promise<void> {
    const open = this.#sessions.get(id);
    if (!open) return;
    this.#sessions.delete(id);
    await stop(open);
    if (!this.#disposed) this.model.disposeSession(open.session);
  }

  async generate(id: number, request: GenerateRequest, deliver: Deliver<GenerateEvent>): Promise<GenerateResult> {
    const open = this.#sessions.get(id);
    if (!open) throw new DisposedError(this.#disposed ? 'model' : 'session');
    if (open.running) throw new SessionBusyError();
    const abort = new AbortController();
    const end = this.#run(() => this.#generate(open.session, request, deliver, abort.signal));
    const running = { abort, end };
    open.running = running;
    this.#warmUp?.pause();
    try {
      return await end;
    } finally {
      open.running = undefined;
      this.#warmUp?.resume();
    }
  }

  async abort(id: number): Promise<void> {
    this.#sessions.get(id)?.running?.abort.abort();
  }

  evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors> {
    return this.#run(() => this.model.evaluate(ids, options));
  }

  memory(): Promise<MemoryUse> {
    return this.#run(async () => this.model.memoryUse());
  }

  pinExperts(experts: readonly ExpertName[]): Promise<void> {
    return this.#run(() => this.model.pinExperts(experts));
  }

  expertPlaces(): Promise<ExpertPlace[][]> {
    return this.#run(async () => this.model.expertPlaces());
  }

  async download(deliver: Deliver<DownloadEvent>): Promise<void> {
    const stopping = new AbortController();
    const events = new EventBatcher(deliver);
    this.#downloads.add(stopping);
    try {
      await this.#run(() => this.#download(AbortSignal.any([stopping.signal, events.failure]), (event) => events.push(event)));
      await events.flush();
    } finally {
      this.#downloads.delete(stopping);
    }
  }

  async stopDownload(): Promise<void> {
    for (const download of this.#downloads) download.abort();
  }

  attachRoom(port: MessagePort, options: RoomEngineOptions): Promise<void> {
    return this.#run(async () => {
      const { openRoomEngine } = await import('./room-engine.ts');
      this.#room?.close();
      this.#room = await openRoomEngine(this.model, this.reader, port, options);
    });
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#warmUp?.stop();
    await this.stopDownload();
    await Promise.all(Array.from(this.#sessions.values(), stop));
    this.#sessions.clear();
    this.#room?.close();
    this.lifeline.cut(new DisposedError('model'));
    this.model.dispose();
    this.model.memory.device.destroy();
  }

  async #download(signal: AbortSignal, onEvent: (event: DownloadEvent) => void): Promise<void> {
    const { download } = await import('./download.ts');
    await download({ model: this.model, reader: this.reader, uses: this.#uses, signal, onEvent });
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    return this.#disposed ? Promise.reject(new DisposedError('model')) : this.lifeline.run(work);
  }

  async #generate(session: Session, request: GenerateRequest, deliver: Deliver<GenerateEvent>, signal: AbortSignal): Promise<GenerateResult> {
    let stream = this.text.stream();
    const events = new EventBatcher(deliver);
    const outcome = await (this.#room ?? ALONE).generate(
      session,
      { ...request, stopIds: request.stopIds ?? this.modelInfo.eosIds },
      {
        onToken: (token) => events.push({ token: { ...token, text: stream.push(token.id) } }),
        onPrefill: (prefill) => events.push({ prefill }),
        onRevise: (ids) => {
          stream = this.text.stream();
          for (const kept of ids) stream.push(kept);
        },
      },
      AbortSignal.any([signal, events.failure]),
    );
    await events.flush();
    const stats = generateStats(outcome, request.promptIds.length, this.#expertsPerToken, this.reader, this.model.memoryUse().gpuBytes);
    return { ids: outcome.ids, finishReason: outcome.finishReason, textEnd: stream.end(), stats };
  }
}

const ALONE: Pick<RoomEngine, 'generate'> = { generate: (session, ...rest) => session.generate(...rest) };

/** Ends what a session generates, and waits until it has. */
async function stop({ running }: OpenSession): Promise<void> {
  running?.abort.abort();
  await running?.end.catch(() => {});
}

import type {
  ChatMessage,
  EvalOptions,
  EvalTensors,
  GenerateHandlers,
  GenerateRequest,
  GenerateResult,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  ModelService,
} from '../api/types.ts';
import { requestGpu, type GpuDevice } from '../engine/device.ts';
import { DisposedError, SessionBusyError } from '../engine/errors.ts';
import { LoadedModel } from '../engine/loaded-model.ts';
import type { Session } from '../engine/session.ts';
import { moeLayers } from '../engine/session-buffers.ts';
import type { Tokenizer } from '../model/tokenizer/tokenizer.ts';
import type { ShardReader } from '../shards/shard.ts';
import { generateStats } from './generate-stats.ts';

interface OpenSession {
  readonly session: Session;
  running: AbortController | undefined;
}

/** A loaded model with its tokeniser, as the page's side sees it through the port. */
export class LocalModelService implements ModelService {
  readonly #sessions = new Map<number, OpenSession>();
  #nextSession = 1;
  #disposed = false;

  constructor(
    readonly model: LoadedModel,
    readonly gpu: GpuDevice,
    readonly reader: ShardReader,
    readonly tokenizer: Tokenizer,
    readonly modelInfo: ModelInfo,
    readonly renderTemplate: (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => Promise<string>,
    /** The device was made for this model and goes with it. */
    readonly ownsDevice: boolean,
  ) {}

  async info(): Promise<ModelInfo> {
    return this.modelInfo;
  }

  async tokenize(text: string, options: { readonly special?: boolean; readonly bos?: boolean } = {}): Promise<number[]> {
    return this.tokenizer.encode(text, options);
  }

  async detokenize(ids: readonly number[], options: { readonly special?: boolean } = {}): Promise<string> {
    return this.tokenizer.decode(ids, options);
  }

  async applyChatTemplate(messages: readonly ChatMessage[], { addGenerationPrompt = true }: { readonly addGenerationPrompt?: boolean } = {}): Promise<string> {
    return this.renderTemplate(messages, addGenerationPrompt);
  }

  async createSession(): Promise<number> {
    const session = await this.model.createSession();
    const id = this.#nextSession++;
    this.#sessions.set(id, { session, running: undefined });
    return id;
  }

  async disposeSession(id: number): Promise<void> {
    const open = this.#sessions.get(id);
    if (!open) return;
    this.#sessions.delete(id);
    open.running?.abort();
    this.model.disposeSession(open.session);
  }

  async generate(id: number, request: GenerateRequest, handlers: GenerateHandlers): Promise<GenerateResult> {
    const open = this.#sessions.get(id);
    if (!open) throw new DisposedError(this.#disposed ? 'model' : 'session');
    if (open.running) throw new SessionBusyError();
    const running = new AbortController();
    open.running = running;
    const stream = this.tokenizer.createStream();
    const onToken = handlers.onToken && ((event: Parameters<NonNullable<GenerateHandlers['onToken']>>[0]) => {
      handlers.onToken?.({ ...event, text: stream.push(event.id) });
    });
    try {
      const outcome = await open.session.generate(
        { ...request, stopIds: request.stopIds ?? this.modelInfo.eosIds },
        { ...handlers, ...(onToken ? { onToken } : {}) },
        running.signal,
      );
      const experts = moeLayers(this.model.spec).reduce((sum, { ffn }) => sum + ffn.topK, 0);
      const stats = generateStats(outcome, request.promptIds.length, experts, this.reader, this.model.memoryUse().gpuBytes);
      return { ids: outcome.ids, finishReason: outcome.finishReason, textEnd: stream.end(), stats };
    } finally {
      open.running = undefined;
    }
  }

  async abort(id: number): Promise<void> {
    this.#sessions.get(id)?.running?.abort();
  }

  async evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors> {
    return this.model.evaluate(ids, options);
  }

  async memory(): Promise<MemoryUse> {
    return this.model.memoryUse();
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const { running } of this.#sessions.values()) running?.abort();
    this.#sessions.clear();
    this.model.dispose();
    if (this.ownsDevice) this.gpu.device.destroy();
  }
}

export { requestGpu, type LoadOptions };

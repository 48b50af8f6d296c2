import { ChatCompletionsApi } from '../api/chat-completions.ts';
import { CompletionsApi } from '../api/completions.ts';
import type { ModelMesh } from '../api/mesh.ts';
import type { ChatCompletions, Completions } from '../api/openai.ts';
import { SessionPool } from '../api/session-pool.ts';
import type { ChatMessage, ChatTemplateOptions, DetokenizeOptions, DownloadOptions, EvalOptions, EvalTensors, ExpertName, ExpertPlace, MemoryUse, Model, ModelInfo, ModelService, Session, TokenizeOptions } from '../api/types.ts';
import { ModelSession } from './session.ts';

/** The public face of a model service, wherever that runs. */
export class ServedModel implements Model {
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly mesh: ModelMesh = {
    open: async (options) => (await import('./mesh.ts')).openMesh(this, options),
    join: async (link, options) => (await import('./mesh.ts')).joinMesh(this, link, options),
  };

  private constructor(
    readonly service: ModelService,
    readonly info: ModelInfo,
  ) {
    const sessions = new SessionPool(() => this.createSession());
    this.chat = { completions: new ChatCompletionsApi(service, info, sessions) };
    this.completions = new CompletionsApi(service, info, sessions);
  }

  static async of(service: ModelService): Promise<Model> {
    return new ServedModel(service, await service.info());
  }

  tokenize(text: string, options?: TokenizeOptions): Promise<number[]> {
    return this.service.tokenize(text, options);
  }

  detokenize(ids: readonly number[], options?: DetokenizeOptions): Promise<string> {
    return this.service.detokenize(ids, options);
  }

  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string> {
    return this.service.applyChatTemplate(messages, options);
  }

  async createSession(): Promise<Session> {
    return new ModelSession(this.service, await this.service.createSession());
  }

  evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors> {
    return this.service.evaluate(ids, options);
  }

  memory(): Promise<MemoryUse> {
    return this.service.memory();
  }

  pinExperts(experts: readonly ExpertName[]): Promise<void> {
    return this.service.pinExperts(experts);
  }

  expertPlaces(): Promise<ExpertPlace[][]> {
    return this.service.expertPlaces();
  }

  async download({ signal, onProgress }: DownloadOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const stop = () => void this.service.stopDownload().catch(() => {});
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.service.download((events) => events.forEach((event) => onProgress?.(event)));
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  dispose(): Promise<void> {
    return this.service.dispose();
  }
}

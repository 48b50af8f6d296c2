import { answer, wholeAnswer, type AnswerEnd, type AnswerPiece, type PlacedToken } from './answer.ts';
import { completionSettings, type CompletionRequestSettings } from './completion-request.ts';
import type { Completion, CompletionChoice, CompletionLogprobs, CompletionRequest, Completions, RequestOptions, Streamed, Whole } from './openai.ts';
import type { SessionPool } from './session-pool.ts';
import { TokenTexts } from './token-texts.ts';
import type { ModelInfo, ModelService } from './types.ts';

/** `completions` over a model. */
export class CompletionsApi implements Completions {
  readonly #texts: TokenTexts;

  constructor(
    readonly service: Pick<ModelService, 'tokenize' | 'tokenTexts'>,
    readonly info: ModelInfo,
    readonly sessions: SessionPool,
  ) {
    this.#texts = new TokenTexts(service);
  }

  create(request: Whole<CompletionRequest>, options?: RequestOptions): Promise<Completion>;
  create(request: Streamed<CompletionRequest>, options?: RequestOptions): Promise<AsyncIterable<Completion>>;
  create(request: CompletionRequest, options?: RequestOptions): Promise<Completion | AsyncIterable<Completion>>;
  async create(request: CompletionRequest, { signal }: RequestOptions = {}): Promise<Completion | AsyncIterable<Completion>> {
    const settings = completionSettings(request);
    signal?.throwIfAborted();
    const head = {
      id: `cmpl-${crypto.randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: this.info.spec.name,
    } as const;
    const pieces = () => this.#answer(settings, signal);
    if (settings.stream) return this.#stream(head, pieces(), settings);
    const { text, tokens, finishReason, usage } = await wholeAnswer(pieces);
    const logprobs = await this.#logprobs(tokens, settings.topLogprobs);
    return { ...head, choices: [{ index: 0, text, logprobs, finish_reason: finishReason }], usage };
  }

  async *#answer(settings: CompletionRequestSettings, signal: AbortSignal | undefined): AsyncGenerator<AnswerPiece | AnswerEnd, void, void> {
    const { prompt } = settings;
    const promptIds = typeof prompt === 'string' ? await this.service.tokenize(prompt) : prompt;
    yield* answer(this.sessions, promptIds, settings, signal);
  }

  async *#stream(
    head: Omit<Completion, 'choices' | 'usage'>,
    pieces: AsyncIterable<AnswerPiece | AnswerEnd>,
    { topLogprobs, includeUsage }: CompletionRequestSettings,
  ): AsyncGenerator<Completion, void, void> {
    const chunk = (choice: Partial<CompletionChoice>): Completion => ({
      ...head,
      choices: [{ index: 0, text: '', logprobs: null, finish_reason: null, ...choice }],
      ...(includeUsage ? { usage: null } : {}),
    });
    for await (const piece of pieces) {
      if ('usage' in piece) {
        yield chunk({ finish_reason: piece.finishReason });
        if (includeUsage) yield { ...head, choices: [], usage: piece.usage };
      } else if (piece.text || topLogprobs !== undefined) {
        yield chunk({ text: piece.text, logprobs: await this.#logprobs(piece.tokens, topLogprobs) });
      }
    }
  }

  async #logprobs(tokens: readonly PlacedToken[], count: number | undefined): Promise<CompletionLogprobs | null> {
    if (count === undefined) return null;
    await this.#texts.fetch(tokens);
    return {
      tokens: tokens.map(({ event }) => this.#texts.get(event.id)),
      token_logprobs: tokens.map(({ event: { logprob = NaN } }) => logprob),
      top_logprobs: tokens.map(({ event: { topLogprobs = [] } }) =>
        Object.fromEntries(topLogprobs.slice(0, count).map(({ id, logprob }) => [this.#texts.get(id), logprob])),
      ),
      text_offset: tokens.map(({ start }) => start),
    };
  }
}

import { answer, wholeAnswer, type AnswerEnd, type AnswerPiece, type PlacedToken } from './answer.ts';
import { chatSettings, type ChatSettings } from './chat-request.ts';
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ChatCompletions, ChatLogprobs, RequestOptions, Streamed, Whole } from './openai.ts';
import type { SessionPool } from './session-pool.ts';
import { TokenTexts } from './token-texts.ts';
import type { ModelInfo, ModelService } from './types.ts';

type ChunkChoice = ChatCompletionChunk['choices'][number];

/** `chat.completions` over a model. */
export class ChatCompletionsApi implements ChatCompletions {
  readonly #texts: TokenTexts;

  constructor(
    readonly service: Pick<ModelService, 'applyChatTemplate' | 'tokenize' | 'tokenTexts'>,
    readonly info: ModelInfo,
    readonly sessions: SessionPool,
  ) {
    this.#texts = new TokenTexts(service);
  }

  create(request: Whole<ChatCompletionRequest>, options?: RequestOptions): Promise<ChatCompletion>;
  create(request: Streamed<ChatCompletionRequest>, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(request: ChatCompletionRequest, options?: RequestOptions): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
  async create(request: ChatCompletionRequest, { signal }: RequestOptions = {}): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    const settings = chatSettings(request);
    signal?.throwIfAborted();
    const head = { id: `chatcmpl-${crypto.randomUUID()}`, created: Math.floor(Date.now() / 1000), model: this.info.spec.name };
    const pieces = () => this.#answer(settings, signal);
    return settings.stream ? this.#stream(head, pieces(), settings) : this.#whole(head, pieces, settings);
  }

  async *#answer(settings: ChatSettings, signal: AbortSignal | undefined): AsyncGenerator<AnswerPiece | AnswerEnd, void, void> {
    const text = await this.service.applyChatTemplate(settings.messages);
    // A template writes its own special tokens, BOS included.
    const promptIds = await this.service.tokenize(text, { special: true, bos: false });
    yield* answer(this.sessions, promptIds, settings, signal);
  }

  async *#stream(
    head: Pick<ChatCompletion, 'id' | 'created' | 'model'>,
    pieces: AsyncIterable<AnswerPiece | AnswerEnd>,
    { topLogprobs, includeUsage }: ChatSettings,
  ): AsyncGenerator<ChatCompletionChunk, void, void> {
    const object = 'chat.completion.chunk';
    const chunk = (choice: Partial<ChunkChoice>): ChatCompletionChunk => ({
      ...head,
      object,
      choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: null, ...choice }],
      ...(includeUsage ? { usage: null } : {}),
    });
    yield chunk({ delta: { role: 'assistant', content: '' } });
    for await (const piece of pieces) {
      if ('usage' in piece) {
        yield chunk({ finish_reason: piece.finishReason });
        if (includeUsage) yield { ...head, object, choices: [], usage: piece.usage };
      } else if (piece.text || topLogprobs !== undefined) {
        yield chunk({ delta: { content: piece.text }, logprobs: await this.#logprobs(piece.tokens, topLogprobs) });
      }
    }
  }

  async #whole(
    head: Pick<ChatCompletion, 'id' | 'created' | 'model'>,
    pieces: () => AsyncIterable<AnswerPiece | AnswerEnd>,
    { topLogprobs }: ChatSettings,
  ): Promise<ChatCompletion> {
    const { text, tokens, finishReason, usage } = await wholeAnswer(pieces);
    return {
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null },
          logprobs: await this.#logprobs(tokens, topLogprobs),
          finish_reason: finishReason,
        },
      ],
      usage,
    };
  }

  async #logprobs(tokens: readonly PlacedToken[], count: number | undefined): Promise<ChatLogprobs | null> {
    if (count === undefined) return null;
    await this.#texts.fetch(tokens);
    const content = tokens.map(({ event: { id, logprob = NaN, topLogprobs = [] } }) => ({
      ...this.#texts.entry(id, logprob),
      top_logprobs: topLogprobs.slice(0, count).map((top) => this.#texts.entry(top.id, top.logprob)),
    }));
    return { content, refusal: null };
  }
}

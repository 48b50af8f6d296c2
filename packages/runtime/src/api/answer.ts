import { AnswerRevisedError } from './errors.ts';
import type { CompletionFinishReason, CompletionUsage } from './openai.ts';
import type { SessionPool } from './session-pool.ts';
import type { AnswerSettings } from './settings.ts';
import { StopStrings } from './stop-strings.ts';
import type { GenerateRequest, GenerateResult, Session, TokenEvent } from './types.ts';

/** A piece of an answer: text that is certain, and the tokens that begin in it (or belong to no text). */
export interface AnswerPiece {
  readonly text: string;
  readonly tokens: readonly PlacedToken[];
}

export interface PlacedToken {
  readonly event: TokenEvent;
  /** Where its text begins in the whole answer. */
  readonly start: number;
}

export interface AnswerEnd {
  readonly finishReason: CompletionFinishReason;
  readonly usage: CompletionUsage;
}

/**
 * Generates with a session of the pool, up to a stop string. The end comes last. Throws what `Session.generate`
 * throws, `AnswerRevisedError`, and the signal's reason.
 */
export async function* answer(pool: SessionPool, promptIds: readonly number[], settings: AnswerSettings, signal?: AbortSignal): AsyncGenerator<AnswerPiece | AnswerEnd, void, void> {
  const { sampling, maxTokens, topLogprobs, stops } = settings;
  const request = { promptIds, sampling, ...(maxTokens === undefined ? {} : { maxTokens }), ...(topLogprobs === undefined ? {} : { topLogprobs }) };
  const session = await pool.acquire(signal);
  let isSound = true;
  try {
    yield* answerOf(session, request, stops, signal);
  } catch (error) {
    isSound = signal?.aborted ?? false;
    throw error;
  } finally {
    await pool.release(session, isSound);
  }
}

/** A whole answer, from its pieces; begins again where they are revised. */
export async function wholeAnswer(begin: () => AsyncIterable<AnswerPiece | AnswerEnd>): Promise<AnswerPiece & AnswerEnd> {
  for (;;) {
    try {
      return await joinPieces(begin());
    } catch (error) {
      if (!(error instanceof AnswerRevisedError)) throw error;
    }
  }
}

async function joinPieces(pieces: AsyncIterable<AnswerPiece | AnswerEnd>): Promise<AnswerPiece & AnswerEnd> {
  let text = '';
  const tokens: PlacedToken[] = [];
  for await (const piece of pieces) {
    if ('usage' in piece) return { text, tokens, ...piece };
    text += piece.text;
    tokens.push(...piece.tokens);
  }
  throw new TypeError('the answer has no end');
}

async function* answerOf(session: Session, request: GenerateRequest, stops: readonly string[], signal?: AbortSignal): AsyncGenerator<AnswerPiece | AnswerEnd, void, void> {
  const stop = new AbortController();
  const generation = session.generate(request, { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal });
  const pieces = new Pieces(stops);
  let result: GenerateResult | undefined;
  let position = -1;
  try {
    while (!pieces.stopped) {
      const next = await generation.next();
      if (next.done) {
        result = next.value;
        break;
      }
      if (next.value.position <= position) throw new AnswerRevisedError();
      position = next.value.position;
      const piece = pieces.push(next.value);
      if (piece) yield piece;
    }
  } finally {
    if (!result) {
      stop.abort();
      result = await drain(generation);
    }
  }
  signal?.throwIfAborted();
  if (result.ids.length < pieces.tokens) throw new AnswerRevisedError();
  const last = pieces.end(result.textEnd);
  if (last) yield last;
  const { promptTokens, reusedTokens } = result.stats;
  yield {
    finishReason: pieces.stopped || result.finishReason !== 'length' ? 'stop' : 'length',
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: pieces.tokens,
      total_tokens: promptTokens + pieces.tokens,
      prompt_tokens_details: { cached_tokens: reusedTokens },
    },
  };
}

/** Tokens in, pieces out. */
class Pieces {
  readonly #stops: StopStrings;
  #waiting: PlacedToken[] = [];
  /** Length of the text that came in, and of what went out. */
  #length = 0;
  #emitted = 0;
  /** Tokens that came in. */
  tokens = 0;
  stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = new StopStrings(stops);
  }

  push(event: TokenEvent): AnswerPiece | undefined {
    this.tokens++;
    this.#waiting.push({ event, start: this.#length });
    return this.#add(event.text);
  }

  /** The rest, when no more tokens come. @param textEnd text that no token completed */
  end(textEnd: string): AnswerPiece | undefined {
    if (this.stopped) return undefined;
    const piece = this.#add(textEnd);
    if (this.stopped) return piece;
    const text = (piece?.text ?? '') + this.#stops.end();
    const tokens = [...(piece?.tokens ?? []), ...this.#waiting];
    return text || tokens.length > 0 ? { text, tokens } : undefined;
  }

  #add(piece: string): AnswerPiece | undefined {
    this.#length += piece.length;
    const { text, stopped } = this.#stops.push(piece);
    this.stopped = stopped;
    this.#emitted += text.length;
    if (!text) return undefined;
    const tokens = this.#waiting.filter(({ start }) => start < this.#emitted);
    this.#waiting = this.#waiting.slice(tokens.length);
    return { text, tokens };
  }
}

/** Runs a generation that was aborted to its end. */
async function drain(generation: AsyncGenerator<TokenEvent, GenerateResult, void>): Promise<GenerateResult> {
  for (;;) {
    const next = await generation.next();
    if (next.done) return next.value;
  }
}

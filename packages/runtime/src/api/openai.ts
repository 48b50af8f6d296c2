/**
 * The part of OpenAI's completion APIs that a local model can serve, under OpenAI's names and shapes
 * (platform.openai.com/docs/api-reference). Fields that OpenAI does not have are marked so.
 */

/** Settings that both APIs take. `null` is as good as not given. */
export interface CompletionSettings {
  /** Accepted and ignored: the model is the one that was loaded. */
  readonly model?: string | null;
  /** Accepted and ignored. */
  readonly user?: string | null;
  /** 0 = greedy; default 1, as OpenAI's. */
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly seed?: number | null;
  /** Up to 16 texts of which the first that appears ends the answer and is left out of it. */
  readonly stop?: string | readonly string[] | null;
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean | null } | null;
  /** Only 1. */
  readonly n?: number | null;
  /** Only 0: see `repeat_penalty`. */
  readonly presence_penalty?: number | null;
  readonly frequency_penalty?: number | null;
  /** Not OpenAI's: keep the k likeliest tokens; 0 = all. */
  readonly top_k?: number | null;
  /** Not OpenAI's: drop tokens below this share of the likeliest one's probability. */
  readonly min_p?: number | null;
  /** Not OpenAI's: divides the logits of recent tokens; 1 = off. */
  readonly repeat_penalty?: number | null;
}

export interface ChatCompletionRequest extends CompletionSettings {
  readonly messages: readonly ChatCompletionMessageParam[];
  /** Default: to the end of the context. */
  readonly max_completion_tokens?: number | null;
  /** Older name of `max_completion_tokens`. */
  readonly max_tokens?: number | null;
  readonly logprobs?: boolean | null;
  /** 0 to 20 alternatives a token; needs `logprobs`. */
  readonly top_logprobs?: number | null;
}

export interface ChatCompletionMessageParam {
  readonly role: string;
  /** Text, or parts of which all must be text. */
  readonly content: string | readonly { readonly type: 'text'; readonly text: string }[];
}

export interface CompletionRequest extends CompletionSettings {
  /** Text, or token ids (the whole input: no BOS is added). */
  readonly prompt: string | readonly number[];
  /** Default 16, as OpenAI's. */
  readonly max_tokens?: number | null;
  /** 0 to 5: for each token its log-probability and as many alternatives. */
  readonly logprobs?: number | null;
}

export interface CompletionUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Prompt tokens whose keys and values were there from the turn before. */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export type CompletionFinishReason = 'stop' | 'length';

export interface TopLogprob {
  readonly token: string;
  readonly logprob: number;
  /** UTF-8; null where the token is a part of a character. */
  readonly bytes: readonly number[] | null;
}

export interface ChatTokenLogprob extends TopLogprob {
  readonly top_logprobs: readonly TopLogprob[];
}

export interface ChatLogprobs {
  readonly content: readonly ChatTokenLogprob[];
  readonly refusal: null;
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly message: { readonly role: 'assistant'; readonly content: string; readonly refusal: null };
      readonly logprobs: ChatLogprobs | null;
      readonly finish_reason: CompletionFinishReason;
    },
  ];
  readonly usage: CompletionUsage;
}

/** A piece of a streamed answer. The first carries the role, the last but one `finish_reason`; with `include_usage` one more has no choices, but the usage. */
export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: 0;
    readonly delta: { readonly role?: 'assistant'; readonly content?: string };
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: CompletionFinishReason | null;
  }[];
  readonly usage?: CompletionUsage | null;
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** Where each token begins in the whole answer, in UTF-16 units. */
  readonly text_offset: readonly number[];
}

export interface CompletionChoice {
  readonly index: 0;
  readonly text: string;
  readonly logprobs: CompletionLogprobs | null;
  /** Null but in the last piece of a stream. */
  readonly finish_reason: CompletionFinishReason | null;
}

/** A whole answer, or (with `stream`) a piece of one, whose `usage` comes last and alone. */
export interface Completion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly CompletionChoice[];
  readonly usage?: CompletionUsage | null;
}

export interface RequestOptions {
  /** Ends the answer within one token; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export type Streamed<Request> = Request & { readonly stream: true };
export type Whole<Request> = Request & { readonly stream?: false | null };

/**
 * Turns of one conversation reuse what they have in common; concurrent requests get KV caches of their own.
 * Throws `RequestError` naming the parameter, and what `Session.generate` throws. Leaving a stream's loop early ends the generation.
 */
export interface ChatCompletions {
  create(request: Whole<ChatCompletionRequest>, options?: RequestOptions): Promise<ChatCompletion>;
  create(request: Streamed<ChatCompletionRequest>, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(request: ChatCompletionRequest, options?: RequestOptions): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
}

/** As `ChatCompletions`, for plain text that is continued. */
export interface Completions {
  create(request: Whole<CompletionRequest>, options?: RequestOptions): Promise<Completion>;
  create(request: Streamed<CompletionRequest>, options?: RequestOptions): Promise<AsyncIterable<Completion>>;
  create(request: CompletionRequest, options?: RequestOptions): Promise<Completion | AsyncIterable<Completion>>;
}

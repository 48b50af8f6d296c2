import type { MeshCounts } from '../mesh/mesh-counts.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { ModelMesh, RoomEngineOptions } from './mesh.ts';
import type { ChatCompletions, Completions } from './openai.ts';

/** Where a model comes from. A string is a URL (in Node also a path). Split models: the URL of any part, or all their Files. */
export type ModelSource = string | URL | File | Blob | readonly File[];

export interface LoadOptions {
  /** Positions of each session's KV cache; default: the model's own, at most 4,096. */
  readonly contextLength?: number;
  /** Where shards are kept between visits: files of the origin (OPFS, default in browsers), IndexedDB, or nowhere. */
  readonly store?: 'opfs' | 'indexeddb' | 'none';
  /** Force the bare f32 kernels even where the adapter has faster ones. Default false. */
  readonly bareKernels?: boolean;
  /**
   * What a prompt's matrix products may round their inputs to, and the KV cache what it holds, where that is faster: `f16`
   * (default; sums stay f32) or `f32`, which rounds nothing.
   */
  readonly precision?: 'f16' | 'f32';
  /** Upper bound for one GPU binding in bytes, below the adapter's own limit (for tests of small adapters). */
  readonly maxBindingBytes?: number;
  /**
   * GPU memory for weights: bytes (2e9, "2GB", "512MiB"), or the share of the experts that is resident at a time ("50%").
   * The trunk is then loaded at once, experts when they are asked for: "100%" keeps all that came. KV caches and scratch
   * come on top. Default: everything is loaded before the model is ready, or the largest share that the GPU has room for.
   */
  readonly gpuBudget?: number | string;
  /** Memory outside the GPU for experts that left it, where there is a `gpuBudget`: bytes, or a share of the experts. Default: none. */
  readonly hostBudget?: number | string;
  /** After each answer brings more of the model, until all of it is on this device; the next answer interrupts that. Default false. */
  readonly warmUp?: boolean;
  /** Longest prefill chunk in tokens; default 512. */
  readonly prefillChunk?: number;
  /** Run in a worker of the model's own (default), or in the thread that loads. */
  readonly worker?: boolean;
  /** Ends loading and frees all that it took; `load` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: ProgressEvent) => void;
  readonly onWarmUp?: (event: DownloadEvent) => void;
  /** Told while loading, and as long as the model lives. */
  readonly onWarning?: (warning: Warning) => void;
}

/**
 * What loading is doing, in this order. `header`: reading the GGUF header. `fetch`: shards from the store or the
 * source, which go to the GPU as they come. `upload`: the last of them to the GPU. `compile`: shaders and the first
 * forward pass. `ready`: done.
 */
export interface ProgressEvent {
  readonly phase: 'header' | 'fetch' | 'upload' | 'compile' | 'ready';
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly shards: number;
  readonly shardsTotal: number;
  /** Of `bytes`, how many came from the store instead of the source. */
  readonly bytesFromStore: number;
}

/** How much of a model is on this device, and how fast the rest comes. */
export interface DownloadEvent {
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly shards: number;
  readonly shardsTotal: number;
  readonly networkBytesPerSecond: number;
  /** Read from the store. */
  readonly diskBytesPerSecond: number;
}

/** One expert of the model. */
export interface ExpertName {
  /** Index of its layer. */
  readonly layer: number;
  readonly expert: number;
}

/** The nearest place that an expert's weights are in. */
export type ExpertPlace = 'gpu' | 'host' | 'disk' | 'network';

/** Something a person should know that stops nothing, e.g. a server without Range, a full disk. */
export interface Warning {
  readonly code: 'no-range' | 'quota-exceeded' | 'no-store' | 'shard-damaged' | 'manifest-ignored' | 'gpu-memory' | 'slow-adapter' | 'unknown-tokenizer' | 'other';
  readonly message: string;
}

export interface AdapterSummary {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  readonly features: readonly string[];
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
}

export interface ModelInfo {
  readonly modelId: string;
  readonly spec: ModelSpec;
  readonly contextLength: number;
  readonly parameterCount: number;
  readonly fileBytes: number;
  readonly chatTemplate: string | undefined;
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly eosIds: readonly number[];
  readonly adapter: AdapterSummary;
}

export interface SamplingOptions {
  /** 0 = greedy (the default). */
  readonly temperature?: number;
  /** Keep the k most likely; 0 = all. */
  readonly topK?: number;
  /** Keep the smallest set with at least this probability; 1 = all. */
  readonly topP?: number;
  /** Drop tokens below this share of the most likely one's probability; 0 = none. */
  readonly minP?: number;
  /** Divides (or multiplies, where negative) the logits of tokens seen in the last 64 positions; 1 = off. */
  readonly repeatPenalty?: number;
  readonly seed?: number;
}

export interface GenerateRequest {
  /** The whole input, BOS included where wanted. A common prefix with the session's past is reused. */
  readonly promptIds: readonly number[];
  /** Default: to the end of the context. */
  readonly maxTokens?: number;
  readonly sampling?: SamplingOptions;
  /** Ids that end the answer (not emitted); default: the model's end-of-text ids. Empty: never stop. */
  readonly stopIds?: readonly number[];
  /** For each emitted token also its log-probability and the n likeliest alternatives. */
  readonly topLogprobs?: number;
}

export interface TokenEvent {
  readonly id: number;
  /** The text that this token completes; empty while a character of several bytes is incomplete. */
  readonly text: string;
  /**
   * Position of the token in the sequence. One that was given before, in a room, is a correction: a peer that computed
   * for it was found out, and this token takes the place of that one and of all after it.
   */
  readonly position: number;
  /** Expert ids chosen when this token was computed, [moeLayer][k], in `moeLayers` order; empty for dense models. */
  readonly experts: readonly (readonly number[])[];
  readonly logprob?: number;
  readonly topLogprobs?: readonly { readonly id: number; readonly logprob: number }[];
}

export interface PrefillEvent {
  readonly tokens: number;
  readonly tokensTotal: number;
}

export interface GenerateHandlers {
  readonly onToken?: (event: TokenEvent) => void;
  readonly onPrefill?: (event: PrefillEvent) => void;
}

/** What happens during `ModelService.generate`, one of them an event. */
export type GenerateEvent = { readonly token: TokenEvent } | { readonly prefill: PrefillEvent };

/** What happens while a model loads, and warnings afterwards. */
export type LoadEvent = { readonly progress: ProgressEvent } | { readonly warning: Warning } | { readonly warmUp: DownloadEvent };

/** Takes events in order. One that returns a promise is far away: it gets several events a call, and the next call when it has resolved. */
export type Deliver<Event> = (events: readonly Event[]) => void | Promise<void>;

export type FinishReason = 'stop' | 'length' | 'aborted';

export interface GenerateResult {
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** Text that was held back after the last token, e.g. of an incomplete character. */
  readonly textEnd: string;
  readonly stats: GenerateStats;
}

/** The JSON keys of `gatefold generate --json` are these, in snake case. */
export interface GenerateStats {
  readonly promptTokens: number;
  /** Prompt tokens found in the session's KV cache. */
  readonly reusedTokens: number;
  readonly generatedTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly prefillTps: number;
  readonly decodeTps: number;
  readonly dispatchesPerToken: number;
  readonly submitsPerToken: number;
  readonly readbacksPerToken: number;
  readonly bytesFetched: number;
  readonly shardsFetched: number;
  readonly shardsTotal: number;
  /** Choices of experts that were on the GPU, or came there for another token of the same pass. */
  readonly expertHits: number;
  /** Experts that had to be brought to the GPU, and how many bytes that took. */
  readonly expertMisses: number;
  readonly expertBytes: number;
  readonly gpuBytes: number;
  /** What peers did, where there is a room. */
  readonly mesh?: MeshCounts;
}

/** What the model computed for a prompt, by the names of the fixtures' README, e.g. `layer.0`, `moe.1.ids`. */
export type EvalTensors = Readonly<Record<string, EvalTensor>>;

export interface EvalTensor {
  readonly dtype: 'F32' | 'I32';
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
}

export interface EvalOptions {
  /** Tokens a pass: the whole prompt by default, 7 for chunks of seven, 1 for the decode kernels. */
  readonly chunk?: number;
}

/** A message of a chat, OpenAI-shaped. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface TokenizeOptions {
  /** Text of special tokens stands for these tokens; default true. */
  readonly special?: boolean;
  /** Begin with BOS where the model's file asks for it; default true. */
  readonly bos?: boolean;
}

export interface DetokenizeOptions {
  /** Write special tokens out; default false. */
  readonly special?: boolean;
}

export interface ChatTemplateOptions {
  /** End where the assistant's answer starts; default true. */
  readonly addGenerationPrompt?: boolean;
}

export interface SessionGenerateOptions {
  /** Ends the answer within one token; what was generated so far is the result, with finishReason `aborted`. */
  readonly signal?: AbortSignal;
  readonly onPrefill?: (event: PrefillEvent) => void;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: DownloadEvent) => void;
}

/** One conversation over a loaded model: a KV cache, and the ids whose keys and values it holds. */
export interface Session {
  /**
   * Yields tokens as they come and returns the result. Leaving the loop early aborts the generation.
   * One generation at a time. Throws `SessionBusyError`, `PromptError`, `PromptTooLongError`, `SamplingError`,
   * `NanLogitsError`, `DeviceLostError`, `DisposedError`.
   */
  generate(request: GenerateRequest, options?: SessionGenerateOptions): AsyncGenerator<TokenEvent, GenerateResult, void>;
  dispose(): Promise<void>;
}

/** A loaded model. All methods throw `DisposedError` after `dispose`, and `DeviceLostError` once its GPU device is gone. */
export interface Model {
  readonly info: ModelInfo;
  /** Several tabs or devices that run the model together. */
  readonly mesh: ModelMesh;
  /** Throws `NoTokenizerError` or `UnsupportedTokenizerError` where the file has no tokeniser that is known; so do all methods that take or give text. */
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
  detokenize(ids: readonly number[], options?: DetokenizeOptions): Promise<string>;
  /** Renders the chat template of the model's file. Throws `ChatTemplateError` where it has none. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string>;
  /** A conversation of its own; takes GPU memory for its KV cache until it is disposed. */
  createSession(): Promise<Session>;
  /** Everything that the model computes for a prompt, from embeddings to logits; slow, for checks. */
  evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors>;
  memory(): Promise<MemoryUse>;
  /** Where the experts of each MoE layer are; all on the GPU where there is no `gpuBudget`. */
  expertPlaces(): Promise<ExpertPlace[][]>;
  /**
   * Brings these experts to the GPU and keeps them there, in place of those of the last call. Throws `PinError` where they
   * leave too little room for a token, and `RangeError` for one that the model does not have.
   */
  pinExperts(experts: readonly ExpertName[]): Promise<void>;
  /**
   * Brings all of the model to this device, for use offline. Throws what fetching throws, and the signal's reason; what
   * came until then is kept, and the next call goes on from there.
   */
  download(options?: DownloadOptions): Promise<void>;
  /** As in OpenAI's API. */
  readonly chat: { readonly completions: ChatCompletions };
  /** As in OpenAI's API (the older one, of plain text). */
  readonly completions: Completions;
  /** Ends what runs (with finishReason `aborted`), frees all GPU memory and the worker. Once is enough. */
  dispose(): Promise<void>;
}

/**
 * A loaded model as seen through the worker's port: plain data in and out. The worker implements it
 * (`worker/service.ts`), the public `Model` wraps it, and in Node the same object is used without a worker.
 */
export interface ModelService {
  info(): Promise<ModelInfo>;
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
  detokenize(ids: readonly number[], options?: DetokenizeOptions): Promise<string>;
  /** Each id's own text, special tokens written out. */
  tokenTexts(ids: readonly number[]): Promise<string[]>;
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): Promise<string>;
  createSession(): Promise<number>;
  disposeSession(session: number): Promise<void>;
  /** Runs to the end, which all events precede; `abort(session)` ends it within one token. */
  generate(session: number, request: GenerateRequest, deliver: Deliver<GenerateEvent>): Promise<GenerateResult>;
  abort(session: number): Promise<void>;
  evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors>;
  memory(): Promise<MemoryUse>;
  expertPlaces(): Promise<ExpertPlace[][]>;
  pinExperts(experts: readonly ExpertName[]): Promise<void>;
  /** Rejects when `stopDownload` is called. */
  download(deliver: Deliver<DownloadEvent>): Promise<void>;
  stopDownload(): Promise<void>;
  /** Works with the peers of a room, whose connections are at the port's other end (`roomToPort`). */
  attachRoom(port: MessagePort, options: RoomEngineOptions): Promise<void>;
  dispose(): Promise<void>;
}

export interface MemoryUse {
  /** Bytes of all live GPU buffers of this model and its sessions. */
  readonly gpuBytes: number;
  readonly gpuBuffers: number;
  readonly weightBytes: number;
  /** Room for routed experts, part of `weightBytes`. */
  readonly expertBytes: number;
  /** Experts that are kept outside the GPU. */
  readonly hostBytes: number;
  readonly kvBytes: number;
}

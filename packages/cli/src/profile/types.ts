import type { AdapterSummary } from '@gatefold/runtime';

/** Where the time of a token and of a prefill chunk goes. */
export interface ProfileJob {
  /** Positions in the cache when the token is decoded; the chunk is the last one of a prompt of this length. */
  readonly context: number;
  readonly chunk: number;
  /** The token is drawn (temperature, top-k, top-p) instead of the likeliest. */
  readonly sampled: boolean;
  /** More than one: a pass of so many sessions as well, one token of each. */
  readonly sessions: number;
}

export interface ProfileReport {
  readonly adapter: AdapterSummary;
  readonly clock: string;
  /** Measured on this adapter: reading memory, and one more dispatch that waits for the one before. */
  readonly readBytesPerUs: number;
  readonly dispatchUs: number;
  readonly decode: PassProfile;
  /** One token of each of several sessions, where the job asks for it and the model's sessions share passes. */
  readonly batch?: PassProfile;
  readonly prefill: PassProfile;
  /** JavaScript's time to encode and submit one token's dispatches. */
  readonly encodeUs: number;
}

export interface PassProfile {
  readonly tokens: number;
  readonly context: number;
  readonly dispatches: number;
  /** The whole pass, stages in their order. */
  readonly wholeUs: number;
  readonly stages: readonly StageProfile[];
}

/** A stage in all its layers together. */
export interface StageProfile {
  readonly stage: string;
  readonly dispatches: number;
  readonly us: number;
  /** What its dispatches and the bytes that it must read take at least on this adapter. */
  readonly floorUs: number;
  /** Weights, keys and values that must be read, and multiply-adds × 2; undefined where they do not count. */
  readonly bytes: number | undefined;
  readonly flops: number | undefined;
}

import type { AdapterSummary, SamplingOptions } from '@gatefold/runtime';

interface SpeedJob {
  readonly promptTokens: number;
  readonly genTokens: number;
  /** Measured runs, after one that warms up. */
  readonly runs: number;
}

/** Prefill and decode of this project's engine. */
export interface GatefoldJob extends SpeedJob {
  readonly sampling?: SamplingOptions;
  /** Conversations that decode at once; default 1. */
  readonly sessions?: number;
  readonly bareKernels?: boolean;
  readonly precision?: 'f16' | 'f32';
  readonly prefillChunk?: number;
  readonly gpuBudget?: string;
  readonly hostBudget?: string;
}

/** The same of llama.cpp as npm package, on WebGPU or on CPU threads. */
export interface WllamaJob extends SpeedJob {
  readonly backend: 'webgpu' | 'cpu';
}

/** One engine on one model: runs in order, warm-up excluded. */
export interface SpeedReport {
  readonly engine: string;
  readonly backend: string;
  /** The browser, or Node, with its version. */
  readonly program?: string;
  readonly loadMs: number;
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly sessions: number;
  readonly runs: readonly SpeedRun[];
  /** Of our engine only: what it counts itself. */
  readonly counts?: SpeedCounts;
  readonly adapter?: AdapterSummary;
}

export interface SpeedRun {
  readonly prefillTps: number;
  /** Of all sessions together. */
  readonly decodeTps: number;
}

export interface SpeedCounts {
  readonly dispatchesPerToken: number;
  readonly submitsPerToken: number;
  readonly readbacksPerToken: number;
  /** Choices of experts that were on the GPU, experts that had to be brought there, and their bytes; of the last run. */
  readonly expertHits: number;
  readonly expertMisses: number;
  readonly expertBytes: number;
  readonly gpuBytes: number;
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly fileBytes: number;
}

/** Where browsers keep models. */
export type StoreName = 'opfs' | 'indexeddb';

/** How long a visitor waits: the first time (the model is read and stored), and when it is stored. */
export interface LoadJob {
  readonly store: StoreName;
  /** Loads from the store, after the one that fills it. */
  readonly runs: number;
}

export interface LoadReport {
  readonly firstMs: number;
  /** Until the model is ready, from the store. */
  readonly storedMs: readonly number[];
  /** Until the first token is there, from the store. */
  readonly firstTokenMs: readonly number[];
  readonly fileBytes: number;
  /** Bytes that loads from the store read from elsewhere; 0 if storing worked. */
  readonly bytesFetched: number;
  /** Parts of loading from the store, each alone: what a load overlaps takes longer here. */
  readonly stages: readonly LoadStage[];
}

export interface LoadStage {
  readonly name: string;
  readonly ms: number;
  /** Where all weights pass through it. */
  readonly bytes?: number;
}

/** The result of `bench compare`. */
export interface CompareResult {
  readonly command: 'compare';
  /** File name. */
  readonly model: string;
  readonly host: string;
  readonly sampling: SamplingOptions;
  readonly rows: readonly CompareRow[];
}

/** What an engine did, or why it could not. */
export type CompareRow = { readonly report: SpeedReport } | { readonly engine: string; readonly error: string };

/** The result of `bench load`. */
export interface LoadResult {
  readonly command: 'load';
  readonly model: string;
  readonly host: string;
  readonly store: StoreName;
  readonly report: LoadReport;
}

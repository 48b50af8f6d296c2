import type { AdapterSummary, GenerateStats, SamplingOptions } from '@gatefold/runtime';

/** What the command asks of the engine; plain data, since it may cross into a page. */
export type Job = GenerateJob | EvalJob | BenchJob | DoctorJob;

interface ModelJob {
  /** URL that the host can read, or (Node) a path. */
  readonly model: string;
  readonly contextLength?: number;
  readonly bareKernels?: boolean;
  readonly maxBindingBytes?: number;
  readonly prefillChunk?: number;
}

export type PromptInput =
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'chat'; readonly text: string }
  | { readonly kind: 'ids'; readonly ids: readonly number[] };

export interface GenerateJob extends ModelJob {
  readonly command: 'generate';
  readonly input: PromptInput;
  readonly maxTokens?: number;
  readonly sampling: SamplingOptions;
}

export interface EvalJob extends ModelJob {
  readonly command: 'eval';
  readonly input: PromptInput;
  /** Tokens a pass; the whole prompt where not given. */
  readonly chunk?: number;
}

export interface BenchJob extends ModelJob {
  readonly command: 'bench';
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly runs: number;
}

export interface DoctorJob {
  readonly command: 'doctor';
}

/** What a job says while it runs. */
export type JobEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'warning'; readonly message: string };

export interface GenerateReport {
  readonly ids: readonly number[];
  readonly text: string;
  readonly promptIds: readonly number[];
  readonly stats: GenerateStats;
  readonly adapter: AdapterSummary;
}

export interface EvalReport {
  readonly tensors: readonly string[];
  readonly tokens: number;
}

export interface BenchReport {
  readonly model: string;
  readonly fileBytes: number;
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly loadMs: number;
  readonly runs: readonly GenerateStats[];
  readonly adapter: AdapterSummary;
}

export interface DoctorReport {
  readonly adapter: AdapterSummary | undefined;
  readonly limits: Readonly<Record<string, number>>;
  readonly storageQuotaBytes: number | undefined;
  readonly storageUsedBytes: number | undefined;
  readonly advice: readonly string[];
}

export type JobReport = GenerateReport | EvalReport | BenchReport | DoctorReport;

/** What differs between a page and Node, as seen by a job. */
export interface JobEnvironment {
  load(source: string, options: import('@gatefold/runtime').LoadOptions): Promise<import('@gatefold/runtime').Model>;
  gpu(): GPU | undefined;
  /** Hands a finished file (eval's safetensors) to the command. */
  deliver(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

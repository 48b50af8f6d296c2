import type { AdapterSummary, GenerateStats, LoadOptions, Model, SamplingOptions } from '@gatefold/runtime';
import type { LocalModelService } from '../../../runtime/src/worker/service.ts';
import type { ProfileJob as Profile, ProfileReport } from '../profile/types.ts';

/** What the command asks of the engine; plain data, since it may cross into a page. */
export type Job = GenerateJob | JoinJob | EvalJob | BenchJob | ProfileJob | DoctorJob;

interface ModelJob {
  /** http(s) URL, or the absolute path of a file. */
  readonly model: string;
  readonly contextLength?: number;
  readonly bareKernels?: boolean;
  readonly precision?: 'f16' | 'f32';
  readonly maxBindingBytes?: number;
  readonly prefillChunk?: number;
  readonly gpuBudget?: string;
  readonly hostBudget?: string;
}

export type PromptInput =
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'chat'; readonly text: string }
  | { readonly kind: 'ids'; readonly ids: readonly number[] };

export interface GenerateJob extends ModelJob {
  readonly command: 'generate';
  readonly input: PromptInput;
  readonly maxTokens: number;
  readonly sampling: SamplingOptions;
  readonly room?: RoomJob;
}

/** A room of several pages that run one model, for tests. */
export interface RoomJob {
  /** Pages, that with the conversation included. */
  readonly tabs: number;
  /** Address of the relay; the host that runs the room fills it in. */
  readonly relay?: string;
  /** Put on top of each link's own. */
  readonly conditions: { readonly rtt?: number; readonly jitter?: number; readonly loss?: number };
  readonly strategy?: 'experts' | 'layers' | 'auto';
  readonly wire?: 'f32' | 'f16' | 'int8';
  /** Share of the peers' results that is computed again and compared. */
  readonly checkShare?: number;
  /** Share of the experts that each page is given by the plan, at least a layer's; default: as many as it has memory for. */
  readonly memoryShare?: number;
  /** Another page than that with the conversation is closed when so many tokens have come. */
  readonly killAt?: number;
  /** One of the others falsifies this share of its results. */
  readonly corruptShare?: number;
}

/** Serves a room until its page is closed. */
export interface JoinJob extends ModelJob {
  readonly command: 'join';
  readonly link: string;
  readonly room: RoomJob;
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

export interface ProfileJob extends ModelJob, Profile {
  readonly command: 'profile';
}

export interface DoctorJob {
  readonly command: 'doctor';
}

/** What a job says while it runs. */
export type JobEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'warning'; readonly message: string }
  /** A room is open and can be joined. */
  | { readonly kind: 'room'; readonly link: string }
  /** The so manieth token of a room's answer has come. */
  | { readonly kind: 'token'; readonly count: number };

export interface GenerateReport {
  readonly ids: readonly number[];
  /** Experts that each generated token used, [token][MoE layer][k], and of how many. */
  readonly trace: { readonly experts: readonly number[]; readonly tokens: readonly (readonly (readonly number[])[])[] };
  readonly text: string;
  readonly promptIds: readonly number[];
  readonly stats: GenerateStats;
  readonly adapter: AdapterSummary;
  /** What peers did, where there was a room. */
  readonly mesh?: MeshReport;
}

/** The JSON keys of `stats.mesh` are these, in snake case. */
export interface MeshReport {
  /** Pages, that with the conversation included. */
  readonly tabs: number;
  /** Frames in both directions, and the bytes of activations in them, of decoding a token. */
  readonly messagesPerToken: number;
  readonly bytesPerToken: number;
  /** What the plan and the tokens' choices of experts make of it. Null where somebody came, went or was late meanwhile, or the plan changed. */
  readonly predictedMessagesPerToken: number | null;
  /** Milliseconds from a step's first frame to its last answer. */
  readonly stepMs: { readonly count: number; readonly median: number; readonly p95: number; readonly max: number };
  /** The longest step in which a peer was late or failed, whole. */
  readonly longestStallMs: number;
  /** Requests that went to a second peer, and those that were computed at home in the end. */
  readonly resends: number;
  readonly failovers: number;
  /** Results that were computed again and compared. */
  readonly checks: number;
  readonly bans: readonly { readonly peer: string; readonly reason: string }[];
  /** Times that the answer went back to before a banned peer's results. */
  readonly revisions: number;
  /** Of the chosen experts, what peers computed. */
  readonly remoteShare: number;
}

export interface EvalReport {
  readonly tensors: readonly string[];
  readonly tokens: number;
}

export interface BenchReport {
  readonly model: string;
  readonly fileBytes: number;
  /** Tokens of each run; fewer than asked for where the context holds no more. */
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly loadMs: number;
  readonly runs: readonly GenerateStats[];
  readonly adapter: AdapterSummary;
}

export interface DoctorReport {
  /** Null where WebGPU is missing or offers none: `advice` says why. */
  readonly adapter: AdapterSummary | null;
  /** The adapter's, by WebGPU's names. */
  readonly limits: Readonly<Record<string, number>>;
  /** Null where the host has no storage or does not tell. */
  readonly storageQuotaBytes: number | null;
  readonly storageUsedBytes: number | null;
  /** What will be slow or missing, and why. */
  readonly advice: readonly string[];
}

/** What each command's job ends with. */
export interface Reports {
  readonly generate: GenerateReport;
  readonly join: never;
  readonly eval: EvalReport;
  readonly bench: BenchReport;
  readonly profile: ProfileReport & { readonly model: string };
  readonly doctor: DoctorReport;
}

export type JobReport = Reports[keyof Reports];

/** How a page answers a job: with its report, or with the fields of the error. */
export type JobOutcome<Report> = { readonly report: Report } | { readonly error: JobFailure };

export interface JobFailure {
  readonly code: string;
  readonly message: string;
}

/** What differs between a page and Node, as seen by a job. */
export interface JobEnvironment {
  load(source: string, options: LoadOptions): Promise<Model>;
  /** Loads the model in this thread, with the engine's inside in reach. */
  open(source: string, options: LoadOptions): Promise<LocalModelService>;
  gpu(): GPU | undefined;
  emit(event: JobEvent): void;
  /** Hands a finished file (eval's safetensors) to the command. */
  deliver(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Ends the job; a page is simply closed. */
  readonly signal?: AbortSignal;
}

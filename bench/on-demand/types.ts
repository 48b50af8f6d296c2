/** Decode with experts that come when they are asked for. */
export interface OnDemandJob {
  readonly promptTokens: number;
  readonly genTokens: number;
  /** Measured runs, after one that fills slots and host memory. */
  readonly runs: number;
  /** Undefined: all experts resident, without the paged path. */
  readonly gpuBudget?: string;
  readonly hostBudget?: string;
}

export interface OnDemandReport {
  /** Of each run: tokens a second. */
  readonly decodeTps: readonly number[];
  /** Means over the decoded tokens of all runs. */
  readonly missedBytes: number;
  readonly missedExperts: number;
  readonly submits: number;
  readonly readbacks: number;
  readonly dispatches: number;
  /** Of the model: MoE layers, each with a read-back where experts are missing. */
  readonly layers: number;
}

/** A dispatch-free submit whose four bytes are waited for. */
export interface ReadBackJob {
  readonly times: number;
}

export interface ReadBackReport {
  readonly ms: readonly number[];
}

export interface OnDemandRow extends OnDemandReport {
  readonly name: string;
}

/** The result of `bench ondemand`. */
export interface OnDemandResult {
  readonly command: 'ondemand';
  readonly model: string;
  readonly host: string;
  readonly rows: readonly OnDemandRow[];
  readonly readBackMs: number;
  /** Of the fastest way. */
  readonly uploadBytesPerMs: number;
}

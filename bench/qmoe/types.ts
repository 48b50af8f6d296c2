/** An MoE block of these sizes with random 4-bit weights. */
export interface QmoeJob {
  readonly hidden: number;
  readonly width: number;
  readonly experts: number;
  readonly topK: number;
  /** Tokens of each mode: decode is one. */
  readonly tokens: readonly number[];
  readonly runs: number;
}

export interface QmoeReport {
  readonly engine: string;
  /** What activations and scales are. */
  readonly precision: 'f16' | 'f32';
  /** Microseconds of a run with so many tokens, by the host's clock. */
  readonly modes: readonly { readonly tokens: number; readonly us: number }[];
}

/** How long onnxruntime-web takes, or why it does not run here. */
export type QmoeRow = { readonly report: QmoeReport } | { readonly error: string };

import type { AdapterSummary } from '@gatefold/runtime';
import type { QmoeJob, QmoeRow } from '../qmoe/types.ts';

/** The MoE block alone: from the router to the weighted sum. */
export interface MoeBlockJob {
  /** Tokens of the prefill pass; decode is one. */
  readonly tokens: number;
  readonly bareKernels?: boolean;
  readonly precision?: 'f16' | 'f32';
}

export interface MoeBlockReport {
  readonly adapter: AdapterSummary;
  readonly clock: string;
  readonly layers: number;
  /** Sizes of the first layer's block. */
  readonly shape: Pick<QmoeJob, 'hidden' | 'width' | 'experts' | 'topK'>;
  readonly modes: readonly MoeBlockMode[];
}

/** Microseconds of one layer's block. */
export interface MoeBlockMode {
  readonly mode: 'decode' | 'prefill';
  readonly tokens: number;
  readonly oursUs: number;
  readonly baselineUs: number;
  readonly oursDispatches: number;
  readonly baselineDispatches: number;
  /** Most tokens that an expert got: the baseline's capacity, the least that drops none. */
  readonly capacity: number;
  /** ‖ours − baseline‖ / ‖baseline‖ of what the block adds to the residual stream, worst layer. */
  readonly difference: number;
}

/** The result of `bench moe-block`. */
export interface MoeBlockResult {
  readonly command: 'moe-block';
  /** File name. */
  readonly model: string;
  readonly host: string;
  readonly report: MoeBlockReport;
  /** onnxruntime-web's block of the same sizes. */
  readonly qmoe: QmoeRow;
}

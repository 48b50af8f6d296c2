import type { ModelSpec, MoeSpec } from '../model/spec.ts';
import type { GpuMemory } from '../residency/gpu-memory.ts';

/** Bytes that each MoE layer's router choice takes in the result buffer: k ≤ 64 ids, at a bindable offset. */
export const ROUTE_BYTES = 256;

/** Sizes of the widest layer, which scratch buffers are made for. */
export interface Widths {
  readonly hidden: number;
  /** Hidden width of the expert beside the routed ones. */
  readonly shared: number;
  /** Outputs of the router, its shared expert's gate included. */
  readonly routerRows: number;
  readonly topK: number;
}

export function widestLayer(spec: ModelSpec): Widths {
  const widths = { hidden: 0, shared: 0, routerRows: 1, topK: 1 };
  for (const { ffn } of spec.layers) {
    const topK = ffn.kind === 'moe' ? ffn.topK : 1;
    widths.hidden = Math.max(widths.hidden, topK * ffn.width);
    widths.topK = Math.max(widths.topK, topK);
    if (ffn.kind === 'dense') continue;
    widths.routerRows = Math.max(widths.routerRows, routerRows(ffn));
    widths.shared = Math.max(widths.shared, ffn.shared.kind === 'none' ? 0 : ffn.shared.width);
  }
  return widths;
}

/** Logits a token of a layer's router: one an expert, and one more where it gates a shared expert. */
export function routerRows({ experts, shared }: MoeSpec): number {
  return experts + (shared.kind === 'shared' && shared.gated ? 1 : 0);
}

/**
 * Activations of one forward pass over up to `tokens` tokens, but for those within mixers. Shared by all sessions of a model: a pass is one
 * submit, and the queue runs submits in order.
 */
export class Scratch {
  readonly x: GPUBuffer;
  readonly normed: GPUBuffer;
  readonly routerLogits: GPUBuffer;
  /** The router's choice for a whole pass: `[tokens, k]` of each MoE layer, `expertIdsStride` bytes apart. */
  readonly expertIds: GPUBuffer;
  readonly expertIdsStride: number;
  readonly expertWeights: GPUBuffer;
  /** Residual MoE: shares of experts and MLP, and the experts' weights that come of them. */
  readonly coefficients: GPUBuffer;
  readonly mixedWeights: GPUBuffer;
  /** Weight of what runs beside the routed experts. */
  readonly sharedWeights: GPUBuffer;
  readonly hidden: GPUBuffer;
  /** In decode the shared expert's, so that it need not wait for the routed ones. */
  readonly sharedHidden: GPUBuffer;
  readonly expertOut: GPUBuffer;
  readonly logits: GPUBuffer;

  constructor(readonly memory: GpuMemory, spec: ModelSpec, readonly tokens: number, logitRows = 1) {
    const widths = widestLayer(spec);
    const rows = (label: string, width: number) => memory.storage(`scratch.${label}`, tokens * width * 4);
    this.x = rows('x', spec.hiddenSize);
    this.normed = rows('normed', spec.hiddenSize);
    this.routerLogits = rows('router_logits', widths.routerRows);
    // Bindings start at multiples of 256 bytes.
    this.expertIdsStride = Math.ceil((tokens * widths.topK * 4) / 256) * 256;
    const moeLayers = spec.layers.filter(({ ffn }) => ffn.kind === 'moe').length;
    this.expertIds = memory.storage('scratch.expert_ids', moeLayers * this.expertIdsStride);
    this.expertWeights = rows('expert_weights', widths.topK);
    this.coefficients = rows('coefficients', 2);
    this.mixedWeights = rows('mixed_weights', widths.topK);
    this.sharedWeights = rows('shared_weights', 1);
    this.hidden = rows('hidden', Math.max(widths.hidden, widths.shared));
    this.sharedHidden = memory.storage('scratch.shared_hidden', Math.max(widths.shared, 1) * 4);
    this.expertOut = rows('expert_out', widths.topK * spec.hiddenSize);
    this.logits = memory.storage('scratch.logits', logitRows * spec.vocabSize * 4);
  }
}

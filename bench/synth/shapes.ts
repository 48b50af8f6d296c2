/** A Mixture-of-Experts model's sizes, and where its family differs from the plainest decoder. */
export interface Shape {
  /** GGUF `general.architecture`. */
  readonly arch: 'olmoe' | 'qwen3moe' | 'gpt-oss';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly topK: number;
  readonly expertWidth: number;
  readonly vocab: number;
  readonly context: number;
  readonly epsilon: number;
  readonly ropeBase: number;
  /** `tokenizer.ggml.pre` */
  readonly pre: string;
  readonly slidingWindow?: number;
  readonly yarn?: { readonly factor: number; readonly originalContext: number };
}

/** Real models' sizes, from their published configurations, and two that are done in no time on a CPU adapter. */
export const SHAPES = {
  'olmoe-1b-7b': {
    arch: 'olmoe',
    layers: 16,
    hidden: 2048,
    heads: 16,
    kvHeads: 16,
    headDim: 128,
    experts: 64,
    topK: 8,
    expertWidth: 1024,
    vocab: 50304,
    // The published model ends at 4,096, where a measurement at 4,096 begins.
    context: 8192,
    epsilon: 1e-5,
    ropeBase: 10000,
    pre: 'olmo',
  },
  'qwen3-30b-a3b': {
    arch: 'qwen3moe',
    layers: 48,
    hidden: 2048,
    heads: 32,
    kvHeads: 4,
    headDim: 128,
    experts: 128,
    topK: 8,
    expertWidth: 768,
    vocab: 151936,
    context: 40960,
    epsilon: 1e-6,
    ropeBase: 1e6,
    pre: 'qwen2',
  },
  'gpt-oss-20b': {
    arch: 'gpt-oss',
    layers: 24,
    hidden: 2880,
    heads: 64,
    kvHeads: 8,
    headDim: 64,
    experts: 32,
    topK: 4,
    expertWidth: 2880,
    vocab: 201088,
    context: 131072,
    epsilon: 1e-5,
    ropeBase: 150000,
    pre: 'gpt-4o',
    slidingWindow: 128,
    yarn: { factor: 32, originalContext: 4096 },
  },
  'tiny-olmoe': {
    arch: 'olmoe',
    layers: 2,
    hidden: 256,
    heads: 4,
    kvHeads: 4,
    headDim: 64,
    experts: 16,
    topK: 4,
    expertWidth: 256,
    vocab: 1024,
    context: 8192,
    epsilon: 1e-5,
    ropeBase: 10000,
    pre: 'olmo',
  },
  'tiny-qwen3moe': {
    arch: 'qwen3moe',
    layers: 2,
    hidden: 256,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    experts: 8,
    topK: 2,
    expertWidth: 256,
    vocab: 1024,
    context: 8192,
    epsilon: 1e-6,
    ropeBase: 1e6,
    pre: 'qwen2',
  },
} as const satisfies Record<string, Shape>;

export type ShapeName = keyof typeof SHAPES;

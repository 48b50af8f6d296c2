/**
 * Bounds on a model's numbers, far above any real model: they are read from an untrusted file and decide over loops and
 * allocations. With each is the largest of a published model.
 */
export const LAYERS = { min: 1, max: 4096 }; // 126: Llama 3.1 405B
export const WIDTH = { min: 1, max: 2 ** 20 }; // 53,248: Llama 3.1 405B's FFN
export const HEADS = { min: 1, max: 2 ** 14 }; // 128
export const HEAD_DIM = { min: 1, max: 2 ** 14 }; // 576: DeepSeek's latent heads
export const CONVOLUTION = { min: 2, max: 17 }; // 4: Gated DeltaNet
export const EXPERTS = { min: 0, max: 2 ** 16 }; // 512: Qwen3-Next
export const CONTEXT = { min: 1, max: 2 ** 31 }; // 10,485,760: Llama 4 Scout
export const VOCABULARY = { min: 1, max: 2 ** 24 }; // 262,144: Gemma
/** A norm's epsilon: 1e-5 or 1e-6. */
export const EPSILON = { min: 0, max: 1 };
/** Factors on scores, weights and positions. */
export const FACTOR = { min: 1e-9, max: 1e9 };
/** RoPE's base: up to 5e7. */
export const ROPE_BASE = { min: 1, max: 1e12 };

import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `glm4moe`: GLM-4.5 and later. Rotates a part of each head; DeepSeek-V3's router (sigmoid, selection bias, scale) as keys and tensors say. */
export const glm4moe = (keys: ModelKeys): ModelSpec =>
  decoderSpec(keys, {
    ropeKind: 'neox',
    // The larger models have it, GLM-4.5-Air does not.
    qkNorm: keys.model.tensors.has('blk.0.attn_q_norm.weight') ? 'per-head' : 'none',
    renormalise: true,
    router: { score: 'sigmoid' },
    ffnNorm: 'post_attention_norm',
  });

import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `qwen3` (dense) and `qwen3moe`: norm on each query and key head, weights of the chosen experts renormalised. */
export const qwen3 = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'neox', qkNorm: 'per-head', renormalise: true });

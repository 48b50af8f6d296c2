import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `hunyuan-moe`: norm on queries and keys after the rotation; a shared expert. */
export const hunyuanMoe = (keys: ModelKeys): ModelSpec =>
  decoderSpec(keys, { ropeKind: 'neox', qkNorm: 'per-head', renormalise: true, attention: () => ({ qkNormLast: true }) });

import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `qwen2` (dense) and `qwen2moe`: biases on Q, K and V; weights of the chosen experts as the softmax gave them; a shared expert behind a gate. */
export const qwen2 = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'neox', renormalise: false });

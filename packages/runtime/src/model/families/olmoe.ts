import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `olmoe`: norm over all query heads and over all key heads at once; weights of the chosen experts as the softmax gave them. */
export const olmoe = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'neox', qkNorm: 'full', renormalise: false });

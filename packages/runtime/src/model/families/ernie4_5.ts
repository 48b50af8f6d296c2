import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `ernie4_5` (dense) and `ernie4_5-moe`: rotates neighbours; the first layers are dense; a bias for the choice alone on softmax scores. */
export const ernie45 = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'norm', renormalise: true });

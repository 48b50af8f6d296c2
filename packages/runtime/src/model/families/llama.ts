import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `llama`: Llama 1 to 3, Mistral, and with `expert_count` Mixtral. The file's q and k rows are in order for neighbour rotation. */
export const llama = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'norm', renormalise: true });

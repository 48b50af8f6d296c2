import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';

/** `deepseek`: DeepSeek-MoE (arXiv 2401.06066). Llama with dense layers first, shared experts, weights of the chosen experts as the softmax gave them. */
export const deepseek = (keys: ModelKeys): ModelSpec => decoderSpec(keys, { ropeKind: 'norm', renormalise: false });

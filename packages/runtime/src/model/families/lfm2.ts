import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONVOLUTION, HEADS, LAYERS } from './limits.ts';

/** `lfm2` (dense) and `lfm2moe`: layers without key/value heads have a gated short convolution in place of attention. */
export const lfm2 = (keys: ModelKeys): ModelSpec => {
  const kernel = keys.int('shortconv.l_cache', CONVOLUTION);
  const kvHeads = keys.perLayer('attention.head_count_kv', { ...HEADS, min: 0 }, keys.int('block_count', LAYERS));
  return decoderSpec(keys, {
    ropeKind: 'neox',
    qkNorm: 'per-head',
    renormalise: true,
    router: { renormalise: { eps: 1e-6 } },
    finalNorm: 'token_embd_norm',
    mixer: (layer) => (kvHeads[layer] === 0 ? { kind: 'short-conv', kernel } : undefined),
  });
};

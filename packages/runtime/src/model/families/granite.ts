import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { FACTOR } from './limits.ts';

/** `granite` (dense) and `granitemoe`: Llama with factors on embedding, residual additions, logits (which divides) and attention; softmax over the chosen experts. */
export function granite(keys: ModelKeys): ModelSpec {
  const spec = decoderSpec(keys, { ropeKind: 'norm', renormalise: false, router: { score: 'none', softmaxAfterTopK: true } });
  const residualScale = keys.float('residual_scale', FACTOR, 1);
  return {
    ...spec,
    embedding: { ...spec.embedding, scale: keys.float('embedding_scale', FACTOR, 1) },
    layers: spec.layers.map((layer) => ({ ...layer, residualScale })),
    output: { ...spec.output, scale: 1 / keys.float('logit_scale', FACTOR, 1) },
  };
}

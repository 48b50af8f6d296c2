import type { LayerSpec, ModelSpec } from '../model/spec.ts';
import { UnsupportedSpecError } from '../residency/errors.ts';

/** Refuses a spec that asks for something no step does yet: better than wrong numbers. */
export function checkSpec(spec: ModelSpec): void {
  const refuse = (feature: string): never => {
    throw new UnsupportedSpecError(spec.arch, feature);
  };
  if (spec.embedding.learnedPositions) refuse('learned positions');
  if (spec.finalNorm.kind !== 'rms' || spec.finalNorm.bias) refuse('a LayerNorm');
  for (const layer of spec.layers) checkLayer(layer, refuse);
}

function checkLayer({ attention, attentionNorm, ffnNorm, postAttentionNorm, postFfnNorm, outputScale }: LayerSpec, refuse: (feature: string) => never): void {
  if (attentionNorm.kind !== 'rms' || ffnNorm.kind !== 'rms' || attentionNorm.bias || ffnNorm.bias) refuse('a LayerNorm');
  // YaRN's factor on cos and sin would change what is normed.
  if (attention.kind === 'gqa' && attention.qkNormLast && attention.rope?.yarn) refuse('a norm after RoPE with YaRN');
  if (postAttentionNorm && attention.kind !== 'gqa') refuse('a norm after its token mixer');
  if (outputScale && !postFfnNorm) refuse('a factor on the layer without a norm after the FFN');
}

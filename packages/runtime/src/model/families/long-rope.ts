import type { LayerSpec, ModelSpec, RopeSpec } from '../spec.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, FACTOR } from './limits.ts';

/** A Phi model's spec with LongRoPE, where its file has it. */
export function withLongRope(keys: ModelKeys, spec: ModelSpec): ModelSpec {
  if (!keys.model.tensors.has('rope_factors_long.weight')) return spec;
  const long = longRope(keys, spec.contextLength);
  const stretched = (layer: LayerSpec): LayerSpec => {
    const { attention } = layer;
    return attention.kind === 'gqa' && attention.rope ? { ...layer, attention: { ...attention, rope: { ...attention.rope, ...long } } } : layer;
  };
  return { ...spec, layers: spec.layers.map(stretched) };
}

/** LongRoPE (arXiv 2402.13753): factors of two lengths, and one factor on cos and sin whatever the length. */
function longRope(keys: ModelKeys, contextLength: number): Pick<RopeSpec, 'frequencyScale' | 'yarn' | 'frequencyFactors' | 'long'> {
  const originalContext = keys.int('rope.scaling.original_context_length', CONTEXT, contextLength);
  const attnFactor = keys.float('rope.scaling.attn_factor', FACTOR, 1);
  const yarn = { factor: 1, originalContext, extFactor: 0, attnFactor, betaFast: 32, betaSlow: 1 };
  return { frequencyScale: 1, yarn, frequencyFactors: true, long: { originalContext } };
}

import type { LayerSpec, ModelSpec, RopeSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, FACTOR } from './limits.ts';

/** `phi3`: Phi 3 and Phi 4. Q, K and V are one tensor, gate and up another; a window on all layers in some; LongRoPE in some. */
export function phi3(keys: ModelKeys): ModelSpec {
  const window = keys.int('attention.sliding_window', { min: 0, max: CONTEXT.max }, 0);
  const spec = decoderSpec(keys, { ropeKind: 'neox', renormalise: true, fusedFfn: true, attention: () => ({ slidingWindow: window }) });
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

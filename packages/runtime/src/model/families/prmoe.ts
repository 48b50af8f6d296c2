import type { LayerSpec, ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { WIDTH } from './limits.ts';

/**
 * `prmoe` (docs/prmoe.md): DeepSpeed-MoE's pyramid-residual MoE, and its Mixture-of-Students. Attention as in `qwen3`, experts counted by
 * layer, and with `residual` a dense MLP beside them.
 */
export function prmoe(keys: ModelKeys): ModelSpec {
  const activation = keys.string('hidden_activation', 'swiglu');
  if (activation !== 'swiglu') keys.refuse('hidden_activation', `is "${activation}"; supported: swiglu`, activation);
  const spec = decoderSpec(keys, { ropeKind: 'neox', qkNorm: 'per-head', renormalise: false });
  if (!keys.bool('residual', false)) return spec;
  const widths = keys.perLayer('feed_forward_length', WIDTH, spec.layers.length);
  const beside = (layer: LayerSpec): LayerSpec =>
    layer.ffn.kind === 'dense' ? layer : { ...layer, ffn: { ...layer.ffn, shared: { kind: 'residual', width: widths[layer.index] ?? 0 } } };
  return { ...spec, layers: spec.layers.map(beside) };
}

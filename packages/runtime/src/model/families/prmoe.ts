import type { LayerSpec, ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { HEAD_DIM, WIDTH } from './limits.ts';

/**
 * `prmoe` (docs/prmoe.md): DeepSpeed-MoE's pyramid-residual MoE, and its Mixture-of-Students. Experts are counted by layer, and with
 * `residual` a dense MLP runs beside them. The rest is as in `qwen3`, or of GPT-3's shape: LayerNorms, GELU, learned positions.
 */
export function prmoe(keys: ModelKeys): ModelSpec {
  const { tensors } = keys.model;
  const activation = keys.string('hidden_activation', 'swiglu');
  if (activation !== 'swiglu' && activation !== 'gelu') keys.refuse('hidden_activation', `is "${activation}"; supported: swiglu, gelu`, activation);
  const spec = decoderSpec(keys, {
    ropeKind: keys.int('rope.dimension_count', { ...HEAD_DIM, min: 0 }, 1) === 0 ? 'none' : 'neox',
    norm: keys.has('attention.layer_norm_epsilon') ? 'layer' : 'rms',
    qkNorm: tensors.has('blk.0.attn_q_norm.weight') ? 'per-head' : 'none',
    activation: activation === 'gelu' ? 'gelu' : 'swiglu',
    renormalise: false,
  });
  if (!keys.bool('residual', false)) return spec;
  const widths = keys.perLayer('feed_forward_length', WIDTH, spec.layers.length);
  const beside = (layer: LayerSpec): LayerSpec =>
    layer.ffn.kind === 'dense' ? layer : { ...layer, ffn: { ...layer.ffn, shared: { kind: 'residual', width: widths[layer.index] ?? 0 } } };
  return { ...spec, layers: spec.layers.map(beside) };
}

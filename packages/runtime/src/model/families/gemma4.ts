import type { AttentionSpec, LayerSpec, ModelSpec, NormSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, FACTOR, HEAD_DIM, LAYERS, ROPE_BASE, WIDTH } from './limits.ts';

/**
 * `gemma4`: sliding windows with heads and RoPE of their own on most layers; values normed, and in some layers the keys
 * themselves; a dense MLP beside the experts, each with its own norms; norms after attention and FFN; a factor on each
 * layer. The small models (shared KV layers, embeddings of each layer) are refused.
 */
export function gemma4(keys: ModelKeys): ModelSpec {
  for (const key of ['attention.shared_kv_layers', 'embedding_length_per_layer_input']) {
    const value = keys.int(key, { min: 0, max: 2 ** 31 }, 0);
    if (value > 0) keys.refuse(key, `is ${value}; supported: 0`, value);
  }
  const slides = keys.perLayer('attention.sliding_window_pattern', { min: 0, max: 1 }, keys.int('block_count', LAYERS));
  const window = keys.int('attention.sliding_window', CONTEXT);
  const spec = decoderSpec(keys, {
    ropeKind: 'neox',
    qkNorm: 'per-head',
    renormalise: true,
    activation: 'geglu',
    attention(layer): Partial<AttentionSpec> {
      const valuesAreKeys = !keys.model.tensors.has(`blk.${layer}.attn_v.weight`);
      const everywhere = { scale: 1, valueNorm: true, valuesAreKeys };
      return slides[layer] === 1 ? { ...everywhere, ...slidingAttention(keys), slidingWindow: window } : everywhere;
    },
    router: { ownNorm: true },
  });
  return {
    ...spec,
    embedding: { ...spec.embedding, scale: Math.sqrt(spec.hiddenSize) },
    layers: spec.layers.map((layer) => withNorms(keys, layer)),
    output: { ...spec.output, softcap: keys.float('final_logit_softcapping', { min: 0, max: FACTOR.max }, 0) },
  };
}

/** Heads and RoPE of layers with a window have keys of their own. */
function slidingAttention(keys: ModelKeys): Pick<AttentionSpec, 'headDim' | 'valueDim' | 'rope'> {
  const headDim = keys.int('attention.key_length_swa', HEAD_DIM);
  const dims = keys.int('rope.dimension_count_swa', { min: 2, max: headDim }, headDim);
  const base = keys.float('rope.freq_base_swa', ROPE_BASE, 10_000);
  const rope = { kind: 'neox', dims, base, frequencyScale: 1, yarn: null, frequencyFactors: false } as const;
  return { headDim, valueDim: keys.int('attention.value_length_swa', HEAD_DIM, headDim), rope };
}

function withNorms(keys: ModelKeys, layer: LayerSpec): LayerSpec {
  const { index, ffn, ffnNorm } = layer;
  const norm = (tensor: string): NormSpec => ({ ...ffnNorm, tensor });
  const norms = { expertsIn: norm('pre_ffw_norm_2'), expertsOut: norm('post_ffw_norm_2'), mlpOut: norm('post_ffw_norm_1') };
  const width = keys.perLayer('feed_forward_length', WIDTH, index + 1)[index] ?? 0;
  return {
    ...layer,
    ffn: ffn.kind === 'dense' ? ffn : { ...ffn, shared: { kind: 'parallel', width, norms } },
    postAttentionNorm: norm('post_attention_norm'),
    postFfnNorm: norm('post_ffw_norm'),
    outputScale: keys.model.tensors.has(`blk.${index}.layer_output_scale.weight`),
  };
}

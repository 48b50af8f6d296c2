import type { AttentionSpec, ModelSpec, NormSpec, RopeSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, FACTOR, ROPE_BASE } from './limits.ts';

/** GGUF has no key for these; they are those of all published models. */
const GLOBAL_EVERY = 6;
/** The 27B model alone scales scores by the width of the stream for each head, which only its number of layers tells. */
const LAYERS_27B = 62;

/** `gemma3`: five layers of six with a window and RoPE of their own base; norms after attention and FFN; GELU. */
export function gemma3(keys: ModelKeys): ModelSpec {
  const window = keys.int('attention.sliding_window', CONTEXT);
  const base = keys.float('rope.freq_base_swa', ROPE_BASE, 10_000);
  const spec = decoderSpec(keys, { ropeKind: 'neox', qkNorm: 'per-head', renormalise: true, activation: 'geglu' });
  return {
    ...spec,
    embedding: { ...spec.embedding, scale: Math.sqrt(spec.hiddenSize) },
    layers: spec.layers.map((layer) => {
      const { attention, ffnNorm, index } = layer;
      if (attention.kind !== 'gqa' || !attention.rope) return layer;
      const norm = (tensor: string): NormSpec => ({ ...ffnNorm, tensor });
      const scale = spec.layers.length === LAYERS_27B ? 1 / Math.sqrt(spec.hiddenSize / attention.heads) : attention.scale;
      const local: RopeSpec = { ...attention.rope, base, frequencyScale: 1, yarn: null };
      const slides = (index + 1) % GLOBAL_EVERY !== 0;
      const mixer: AttentionSpec = { ...attention, scale, ...(slides ? { slidingWindow: window, rope: local } : {}) };
      return { ...layer, attention: mixer, postAttentionNorm: norm('post_attention_norm'), postFfnNorm: norm('post_ffw_norm') };
    }),
    output: { ...spec.output, softcap: keys.float('final_logit_softcapping', { min: 0, max: FACTOR.max }, 0) },
  };
}

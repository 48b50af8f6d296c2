import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT } from './limits.ts';

/**
 * `gpt-oss`: attention sinks, a sliding window on every other layer, YaRN; softmax over the chosen experts, clamped SwiGLU;
 * biases everywhere. YaRN's ramp begins and ends at whole pairs, as in llama.cpp; the published models' own code does not
 * round, which GGUF has no key for.
 */
export function gptOss(keys: ModelKeys): ModelSpec {
  const window = keys.int('attention.sliding_window', CONTEXT);
  return decoderSpec(keys, {
    ropeKind: 'neox',
    renormalise: false,
    ffnNorm: 'post_attention_norm',
    activation: 'swiglu-clamped',
    attention: (layer) => ({ sinks: true, slidingWindow: layer % 2 === 0 ? window : 0 }),
    router: { score: 'none', softmaxAfterTopK: true },
  });
}

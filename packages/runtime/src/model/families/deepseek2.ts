import type { MlaSpec, ModelSpec, RopeSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, EPSILON, FACTOR, HEAD_DIM, HEADS } from './limits.ts';
import { ropeSpec } from './rope.ts';

/**
 * `deepseek2`: DeepSeek V2 and V3, Kimi K2, GLM-4.7-Flash. Multi-head latent attention; the router's keys tell V2 from
 * V3, and the tensors tell whether queries have a latent vector and how the up-projections are stored.
 */
export const deepseek2 = (keys: ModelKeys): ModelSpec => {
  const mla = mlaSpec(keys);
  return decoderSpec(keys, { ropeKind: 'norm', renormalise: false, mixer: () => mla });
};

function mlaSpec(keys: ModelKeys): MlaSpec {
  const { tensors } = keys.model;
  // Files for absorbed attention give the latent heads' sizes as key_length and value_length.
  const keyDim = keys.int('attention.key_length_mla', HEAD_DIM, keys.int('attention.key_length', HEAD_DIM));
  const valueDim = keys.int('attention.value_length_mla', HEAD_DIM, keys.int('attention.value_length', HEAD_DIM));
  const ropeDim = keys.int('rope.dimension_count', { min: 2, max: keyDim - 1 });
  const { rope, scale } = stretched(keys, ropeSpec(keys, 'norm', ropeDim, keys.int('context_length', CONTEXT)));
  return {
    kind: 'mla',
    heads: keys.int('attention.head_count', HEADS),
    queryRank: tensors.has('blk.0.attn_q_a.weight') ? keys.int('attention.q_lora_rank', HEAD_DIM) : 0,
    latentDim: keys.int('attention.kv_lora_rank', HEAD_DIM),
    plainDim: keyDim - ropeDim,
    ropeDim,
    valueDim,
    upProjection: tensors.has('blk.0.attn_k_b.weight') ? 'k-b-v-b' : 'kv-b',
    normEps: keys.float('attention.layer_norm_rms_epsilon', EPSILON),
    scale: scale / Math.sqrt(keyDim),
    rope,
  };
}

/**
 * DeepSeek's YaRN scales scores by (1 + m ln(factor))^2 in place of YaRN's own 1 + 0.1 ln(factor) on cos and sin, where
 * the file has m (a tenth of the model's `mscale_all_dim`).
 */
function stretched(keys: ModelKeys, rope: RopeSpec): { readonly rope: RopeSpec; readonly scale: number } {
  const multiplier = keys.float('rope.scaling.yarn_log_multiplier', { min: 0, max: FACTOR.max }, 0);
  if (!rope.yarn || multiplier === 0) return { rope, scale: 1 };
  const { factor, attnFactor } = rope.yarn;
  const own = 1 + 0.1 * Math.log(factor);
  return { rope: { ...rope, yarn: { ...rope.yarn, attnFactor: attnFactor / own } }, scale: (1 + multiplier * Math.log(factor)) ** 2 };
}

import { pair, strings, tensor } from './tiny-model.ts';
import { T, type WrittenFile, type WrittenPair, type WrittenTensor } from './write-gguf.ts';

export const MIXER_FAMILIES = ['deepseek2', 'lfm2', 'qwen3next'] as const;

type Model = Required<Pick<WrittenFile, 'pairs' | 'tensors'>>;

/** Of layer 0: matrices [rows, columns], vectors [length]. */
const TENSORS: Readonly<Record<(typeof MIXER_FAMILIES)[number], Readonly<Record<string, readonly number[]>>>> = {
  deepseek2: {
    attn_norm: [32],
    attn_q_a: [32, 32],
    attn_q_a_norm: [32],
    attn_q_b: [2 * 64, 32],
    attn_kv_a_mqa: [64, 32],
    attn_kv_a_norm: [32],
    attn_k_b: [2, 32, 32],
    attn_v_b: [2, 32, 32],
    attn_output: [32, 64],
    ffn_norm: [32],
  },
  lfm2: { attn_norm: [32], 'shortconv.in_proj': [96, 32], 'shortconv.conv': [32, 3], 'shortconv.out_proj': [32, 32], ffn_norm: [32] },
  qwen3next: { attn_norm: [32], attn_qkv: [96, 32], attn_gate: [32, 32], ssm_ba: [4, 32], ssm_conv1d: [96, 4], ssm_norm: [16], ssm_out: [32, 32], post_attention_norm: [32] },
};

const KEYS: Readonly<Record<(typeof MIXER_FAMILIES)[number], Readonly<Record<string, number>>>> = {
  deepseek2: {
    'attention.head_count_kv': 1,
    'attention.kv_lora_rank': 32,
    'attention.q_lora_rank': 32,
    'attention.key_length': 64,
    'attention.value_length': 32,
    'attention.key_length_mla': 64,
    'attention.value_length_mla': 32,
    'rope.dimension_count': 32,
  },
  lfm2: { 'attention.head_count_kv': 0, 'shortconv.l_cache': 3 },
  qwen3next: {
    'attention.head_count_kv': 1,
    full_attention_interval: 4,
    'ssm.conv_kernel': 4,
    'ssm.state_size': 16,
    'ssm.group_count': 2,
    'ssm.time_step_rank': 2,
    'ssm.inner_size': 32,
  },
};

/** A complete model of one layer with another mixer than attention: width 32, two heads, dense FFN, four tokens. */
export function tinyMixerModel(arch: (typeof MIXER_FAMILIES)[number]): Model {
  const key = (name: string, type: number, value: WrittenPair['value']) => pair(`${arch}.${name}`, type, value);
  const common = { block_count: 1, context_length: 64, embedding_length: 32, feed_forward_length: 32, 'attention.head_count': 2 };
  const pairs = [
    pair('general.architecture', T.string, arch),
    ...Object.entries({ ...common, ...KEYS[arch] }).map(([name, value]) => key(name, T.u32, value)),
    key('attention.layer_norm_rms_epsilon', T.f32, 1e-5),
    strings('tokenizer.ggml.tokens', ['a', 'b', '▁c', '<s>']),
  ];
  const ffn = Object.fromEntries(['ffn_gate', 'ffn_up', 'ffn_down'].map((name) => [name, [32, 32]]));
  const inLayer = Object.entries({ ...TENSORS[arch], ...ffn }).map(([name, shape]) => tensor(`blk.0.${name}.weight`, shape, /conv(1d)?$/.test(name) ? 0 : undefined));
  const odd: WrittenTensor[] = arch === 'qwen3next' ? [tensor('blk.0.ssm_a', [2]), tensor('blk.0.ssm_dt.bias', [2])] : [];
  const finalNorm = arch === 'lfm2' ? 'token_embd_norm.weight' : 'output_norm.weight';
  return { pairs, tensors: [tensor('token_embd.weight', [4, 32]), tensor(finalNorm, [32]), ...inLayer, ...odd] };
}

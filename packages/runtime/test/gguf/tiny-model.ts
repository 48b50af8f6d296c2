import { ggmlType } from '../../src/model/gguf/ggml-types.ts';
import { T, type WrittenFile, type WrittenPair, type WrittenTensor } from './write-gguf.ts';

export const F32 = 0;
export const Q4_0 = 2;

/** A metadata pair; `array` values take `[element type, values]`. */
export const pair = (key: string, type: number, value: WrittenPair['value']): WrittenPair => ({ key, type, value });
export const strings = (key: string, values: readonly string[]): WrittenPair => pair(key, T.array, { type: T.string, values });

/** A tensor of zeros of its right size. @param shape outermost dimension first */
export function tensor(name: string, shape: readonly number[], type = shape.length === 1 ? F32 : Q4_0): WrittenTensor {
  const { blockSize = 1, blockBytes = 4 } = ggmlType(type) ?? {};
  return { name, ne: shape.toReversed(), type, data: (shape.reduce((a, b) => a * b, 1) / blockSize) * blockBytes };
}

export interface TinyOptions {
  readonly arch: 'llama' | 'qwen3' | 'olmoe' | 'qwen3moe' | 'prmoe';
  readonly layers?: number;
  readonly experts?: number;
}

/** The smallest complete model of a family: width 32, one head, four tokens. */
export function tinyModel({ arch, layers = 1, experts = arch.endsWith('moe') ? 2 : 0 }: TinyOptions): Required<Pick<WrittenFile, 'pairs' | 'tensors'>> {
  const key = (name: string, type: number, value: WrittenPair['value']) => pair(`${arch}.${name}`, type, value);
  const pairs = [
    pair('general.architecture', T.string, arch),
    key('block_count', T.u32, layers),
    key('context_length', T.u32, 64),
    key('embedding_length', T.u32, 32),
    key('feed_forward_length', T.u32, 32),
    key('attention.head_count', T.u32, 1),
    key('attention.head_count_kv', T.u32, 1),
    key('attention.layer_norm_rms_epsilon', T.f32, 1e-5),
    key('rope.freq_base', T.f32, 10000),
    ...(experts > 0 ? [key('expert_count', T.u32, experts), key('expert_used_count', T.u32, 1)] : []),
    strings('tokenizer.ggml.tokens', ['a', 'b', '▁c', '<s>']),
  ];
  const tensors = [tensor('token_embd.weight', [4, 32]), tensor('output_norm.weight', [32])];
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}.`;
    tensors.push(tensor(`${block}attn_norm.weight`, [32]), tensor(`${block}ffn_norm.weight`, [32]));
    for (const name of ['attn_q', 'attn_k', 'attn_v', 'attn_output']) tensors.push(tensor(`${block}${name}.weight`, [32, 32]));
    if (arch !== 'llama') tensors.push(tensor(`${block}attn_q_norm.weight`, [32]), tensor(`${block}attn_k_norm.weight`, [32]));
    const names = ['ffn_gate', 'ffn_up', 'ffn_down'];
    if (experts > 0) tensors.push(tensor(`${block}ffn_gate_inp.weight`, [experts, 32]));
    for (const name of names) tensors.push(experts > 0 ? tensor(`${block}${name}_exps.weight`, [experts, 32, 32]) : tensor(`${block}${name}.weight`, [32, 32]));
  }
  return { pairs, tensors };
}

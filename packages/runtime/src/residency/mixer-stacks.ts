import type { MixerSpec } from '../model/spec.ts';

/** Tensors of a layer's mixer that are stacked, by the stack's name, in the order in which their outputs are concatenated. */
export function mixerStacks(mixer: MixerSpec): Readonly<Record<string, readonly string[]>> {
  switch (mixer.kind) {
    case 'gqa':
      if (mixer.fusedQkv) return { attn_qkv: ['attn_qkv'] };
      return { attn_qkv: ['attn_q', 'attn_k', ...(mixer.valuesAreKeys ? [] : ['attn_v'])] };
    case 'mla':
      return { attn_latent: [mixer.queryRank > 0 ? 'attn_q_a' : 'attn_q', 'attn_kv_a_mqa'] };
    case 'short-conv':
      return {};
    case 'delta-net':
      return { delta_in: ['attn_qkv', 'attn_gate'], delta_rates: mixer.valueOrder === 'tiled' ? ['ssm_beta', 'ssm_alpha'] : ['ssm_ba'] };
  }
}

import type { MixerSpec } from '../model/spec.ts';

/** Tensors of a layer's mixer that are stacked, by the stack's name, in the order in which their outputs are concatenated. */
export function mixerStacks(mixer: MixerSpec): Readonly<Record<string, readonly string[]>> {
  switch (mixer.kind) {
    case 'gqa':
      return { attn_qkv: ['attn_q', 'attn_k', ...(mixer.valuesAreKeys ? [] : ['attn_v'])] };
    case 'mla':
      return { attn_latent: [mixer.queryRank > 0 ? 'attn_q_a' : 'attn_q', 'attn_kv_a_mqa'] };
  }
}

import type { MixerSpec } from '../../model/spec.ts';

/** What a layer's mixer keeps of the tokens before, by name, in bytes for `positions`. */
export function stateBytes(mixer: MixerSpec, positions: number): Readonly<Record<string, number>> {
  switch (mixer.kind) {
    case 'gqa':
      return { keys: positions * mixer.kvHeads * mixer.headDim * 4, values: positions * mixer.kvHeads * mixer.valueDim * 4 };
    case 'mla':
      return { latent: positions * (mixer.latentDim + mixer.ropeDim) * 4 };
  }
}

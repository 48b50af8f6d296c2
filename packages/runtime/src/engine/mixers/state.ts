import type { CacheType } from '@gatefold/shaders';
import type { MixerSpec } from '../../model/spec.ts';

/**
 * What a layer's mixer keeps of the tokens before, by name, in bytes: caches grow with `positions`, recurrent state does
 * not. @param cacheType of keys and values
 */
export function stateBytes(mixer: MixerSpec, positions: number, hiddenSize: number, cacheType: CacheType = 'f32'): Readonly<Record<string, number>> {
  const cacheBytes = cacheType === 'f16' ? 2 : 4;
  switch (mixer.kind) {
    case 'gqa':
      return { keys: positions * mixer.kvHeads * mixer.headDim * cacheBytes, values: positions * mixer.kvHeads * mixer.valueDim * cacheBytes };
    case 'mla':
      return { latent: positions * (mixer.latentDim + mixer.ropeDim) * 4 };
    case 'short-conv':
      return { conv: (mixer.kernel - 1) * hiddenSize * 4 };
    case 'delta-net': {
      const { keyHeads, valueHeads, keyDim, valueDim, kernel } = mixer;
      return { conv: (kernel - 1) * (2 * keyHeads * keyDim + valueHeads * valueDim) * 4, memory: valueHeads * keyDim * valueDim * 4 };
    }
  }
}

/** Whether the state is overwritten by each token, so that a session can't go back to an earlier position. */
export function isRecurrent({ kind }: MixerSpec): boolean {
  return kind === 'short-conv' || kind === 'delta-net';
}

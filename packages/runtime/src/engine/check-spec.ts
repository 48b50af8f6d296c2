import type { LayerSpec, MixerSpec, ModelSpec } from '../model/spec.ts';
import { UnsupportedSpecError } from '../residency/errors.ts';

/** Sizes of arrays in the kernels of attention over latent vectors, and of Gated DeltaNet. */
const MOST_LATENT_DIM = 512;
const MOST_DELTA_NET_DIM = 128;

/** Refuses a spec that asks for something no step does yet: better than wrong numbers. */
export function checkSpec(spec: ModelSpec): void {
  const refuse = (feature: string): never => {
    throw new UnsupportedSpecError(spec.arch, feature);
  };
  for (const layer of spec.layers) checkLayer(layer, refuse);
}

function checkLayer({ attention, attentionNorm, postAttentionNorm, postFfnNorm, outputScale }: LayerSpec, refuse: (feature: string) => never): void {
  if (attentionNorm.kind === 'layer' && attention.kind !== 'gqa') refuse('a LayerNorm before its token mixer');
  if (postAttentionNorm?.kind === 'layer' || postFfnNorm?.kind === 'layer') refuse('a LayerNorm before the residual addition');
  // YaRN's factor on cos and sin would change what is normed.
  if (attention.kind === 'gqa' && attention.qkNormLast && attention.rope?.yarn) refuse('a norm after RoPE with YaRN');
  checkMixer(attention, refuse);
  if (postAttentionNorm && attention.kind !== 'gqa') refuse('a norm after its token mixer');
  if (outputScale && !postFfnNorm) refuse('a factor on the layer without a norm after the FFN');
}

function checkMixer(mixer: MixerSpec, refuse: (feature: string) => never): void {
  if (mixer.kind === 'mla' && mixer.latentDim > MOST_LATENT_DIM) refuse(`latent vectors of ${mixer.latentDim} dimensions (at most ${MOST_LATENT_DIM})`);
  if (mixer.kind !== 'delta-net') return;
  const size = Math.max(mixer.keyDim, mixer.valueDim);
  if (size > MOST_DELTA_NET_DIM) refuse(`Gated DeltaNet heads of ${size} dimensions (at most ${MOST_DELTA_NET_DIM})`);
}

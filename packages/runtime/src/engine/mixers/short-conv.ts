import { shortConv } from '@gatefold/shaders/mixers';
import type { ShortConvSpec } from '../../model/spec.ts';
import type { MixerSteps } from './mixer.ts';
import { product } from './product.ts';

/** Gated short convolution: b, c and x from one projection, convolution of b * x, times c, output projection. */
export const shortConvSteps: MixerSteps<ShortConvSpec> = async (context, { kernel }) => {
  const { plan, session, layer } = context;
  const { shaders, scratch, weights, spec } = plan;
  const { index, attentionNorm } = layer;
  const channels = spec.hiddenSize;
  const block = `blk.${index}.`;
  const row = plan.activations('conv_in', 3 * channels);
  const mixed = plan.activations('conv_out', channels);

  const project = product(context, {
    stage: 'conv_in',
    x: scratch.x,
    norm: { weight: `${block}${attentionNorm.tensor}.weight`, eps: attentionNorm.eps, into: scratch.normed },
    weights: `${block}shortconv.in_proj.weight`,
    out: row,
  });
  const convolve = shortConv(shaders, {
    label: `layer.${index}.conv`,
    channels,
    kernel,
    kind: 'gates',
    row: { buffer: row },
    stride: 3 * channels,
    weight: weights.vector(`${block}shortconv.conv.weight`),
    state: session.state(index, 'conv'),
    out: { buffer: mixed },
    batch: { buffer: session.batch },
  });
  const output = product(context, { stage: 'conv_out', x: mixed, weights: `${block}shortconv.out_proj.weight`, out: scratch.x, residual: true });
  return (await Promise.all([project, convolve, output])).flat();
};

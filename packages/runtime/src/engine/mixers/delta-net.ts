import { deltaNet, shortConv } from '@gatefold/shaders/mixers';
import type { DeltaNetSpec } from '../../model/spec.ts';
import type { MixerSteps } from './mixer.ts';
import { product } from './product.ts';

/** Gated DeltaNet: projections, short convolution over queries, keys and values, the recurrence, output projection. */
export const deltaNetSteps: MixerSteps<DeltaNetSpec> = async (context, net) => {
  const { plan, session, layer } = context;
  const { shaders, scratch, weights } = plan;
  const { index, attentionNorm } = layer;
  const { keyHeads, valueHeads, keyDim, valueDim, kernel } = net;
  const block = `blk.${index}.`;
  const values = valueHeads * valueDim;
  const channels = 2 * keyHeads * keyDim + values;
  const batch = { buffer: session.batch };

  // Queries, keys, values and the output's gates; then beta and alpha from the same normed input.
  const row = plan.activations('delta_in', channels + values);
  const rates = plan.activations('delta_rates', 2 * valueHeads);
  const project = product(context, {
    stage: 'delta_in',
    x: scratch.x,
    norm: { weight: `${block}${attentionNorm.tensor}.weight`, eps: attentionNorm.eps, into: scratch.normed, keep: true },
    weights: `${block}delta_in`,
    out: row,
  });
  const projectRates = product(context, { stage: 'delta_rates', x: scratch.normed, weights: `${block}delta_rates`, out: rates });

  const mixed = { buffer: plan.activations('delta_mixed', channels) };
  const convolve = shortConv(shaders, {
    label: `layer.${index}.conv`,
    channels,
    kernel,
    kind: 'silu',
    row: { buffer: row },
    stride: channels + values,
    weight: weights.vector(`${block}ssm_conv1d.weight`),
    state: session.state(index, 'conv'),
    out: mixed,
    batch,
  });
  const out = plan.activations('delta_out', values);
  const recur = deltaNet(shaders, {
    label: `layer.${index}.delta_net`,
    keyHeads,
    valueHeads,
    keyDim,
    valueDim,
    valueOrder: net.valueOrder,
    mixed,
    gate: { buffer: { buffer: row }, stride: channels + values, first: channels },
    rates: { buffer: rates },
    a: weights.vector(`${block}ssm_a`),
    dt: weights.vector(`${block}ssm_dt.bias`),
    norm: { weight: weights.vector(`${block}ssm_norm.weight`), eps: net.normEps },
    memory: session.state(index, 'memory'),
    out: { buffer: out },
    batch,
  });
  const output = product(context, { stage: 'delta_out', x: out, weights: `${block}ssm_out.weight`, out: scratch.x, residual: true });
  return (await Promise.all([project, projectRates, convolve, recur, output])).flat();
};

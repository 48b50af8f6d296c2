import type { DeltaNetSpec, ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONVOLUTION, EPSILON, HEAD_DIM, HEADS, LAYERS, WIDTH } from './limits.ts';

/**
 * `qwen3next` and `qwen35moe`: Gated DeltaNet, and every few layers gated attention that rotates a part of each head.
 * They differ in the order of value heads. In texts all sections of `qwen35moe`'s multi-axis RoPE have one position.
 */
export const qwen3next = (keys: ModelKeys): ModelSpec => {
  const interval = keys.int('full_attention_interval', LAYERS, 4);
  const net = deltaNetSpec(keys);
  return decoderSpec(keys, {
    ropeKind: 'neox',
    qkNorm: 'per-head',
    renormalise: true,
    ffnNorm: 'post_attention_norm',
    attention: () => ({ outputGate: true }),
    mixer: (layer) => ((layer + 1) % interval === 0 ? undefined : net),
  });
};

function deltaNetSpec(keys: ModelKeys): DeltaNetSpec {
  const valueHeads = keys.int('ssm.time_step_rank', HEADS);
  const keyHeads = keys.int('ssm.group_count', HEADS);
  const inner = keys.int('ssm.inner_size', WIDTH);
  if (valueHeads % keyHeads !== 0) keys.refuse('ssm.group_count', `is ${keyHeads}, which does not divide ${valueHeads} value heads`, keyHeads);
  if (inner % valueHeads !== 0) keys.refuse('ssm.inner_size', `is ${inner}, no multiple of ${valueHeads} value heads`, inner);
  return {
    kind: 'delta-net',
    keyHeads,
    valueHeads,
    keyDim: keys.int('ssm.state_size', HEAD_DIM),
    valueDim: inner / valueHeads,
    kernel: keys.int('ssm.conv_kernel', CONVOLUTION),
    valueOrder: keys.arch === 'qwen3next' ? 'grouped' : 'tiled',
    normEps: keys.float('attention.layer_norm_rms_epsilon', EPSILON),
  };
}

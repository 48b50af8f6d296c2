import type { RopeSpec, YarnSpec } from '../spec.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, FACTOR, ROPE_BASE } from './limits.ts';

const FACTOR_OR_OFF = { min: 0, max: FACTOR.max };

/** RoPE from `{arch}.rope.*` and `rope_freqs.weight`. @param contextLength the model's, for YaRN files that name no original one */
export function ropeSpec(keys: ModelKeys, kind: RopeSpec['kind'], headDim: number, contextLength: number): RopeSpec {
  const dims = keys.int('rope.dimension_count', { min: 2, max: headDim }, headDim);
  if (dims % 2 !== 0) keys.refuse('rope.dimension_count', `is ${dims}, an odd number`, dims);
  return {
    kind,
    dims,
    base: keys.float('rope.freq_base', ROPE_BASE, 10_000),
    ...scaling(keys, contextLength),
    frequencyFactors: keys.model.tensors.has('rope_freqs.weight'),
  };
}

function scaling(keys: ModelKeys, contextLength: number): Pick<RopeSpec, 'frequencyScale' | 'yarn'> {
  const type = keys.string('rope.scaling.type', 'linear');
  const factor = keys.float('rope.scaling.factor', FACTOR_OR_OFF, keys.float('rope.scale_linear', FACTOR_OR_OFF, 1)) || 1;
  switch (type) {
    case 'none':
      return { frequencyScale: 1, yarn: null };
    case 'linear':
      return { frequencyScale: 1 / factor, yarn: null };
    case 'yarn':
      return { frequencyScale: 1, yarn: yarnSpec(keys, factor, contextLength) };
    default:
      return keys.refuse('rope.scaling.type', `is "${type}"; supported: none, linear, yarn`, type);
  }
}

/** Defaults are llama.cpp's. */
function yarnSpec(keys: ModelKeys, factor: number, contextLength: number): YarnSpec {
  return {
    factor,
    originalContext: keys.int('rope.scaling.original_context_length', CONTEXT, contextLength),
    extFactor: keys.float('rope.scaling.yarn_ext_factor', FACTOR_OR_OFF, 1),
    attnFactor: keys.float('rope.scaling.yarn_attn_factor', FACTOR, keys.float('rope.scaling.attn_factor', FACTOR, 1)),
    betaFast: keys.float('rope.scaling.yarn_beta_fast', FACTOR, 32),
    betaSlow: keys.float('rope.scaling.yarn_beta_slow', FACTOR, 1),
  };
}

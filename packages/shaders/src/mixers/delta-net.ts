import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/mixers/delta_net.wesl?raw';

/** Sizes of the kernel's arrays. */
const MOST_KEY_DIM = 128;
const MOST_VALUE_DIM = 128;

export interface DeltaNetArgs {
  readonly label: string;
  readonly keyHeads: number;
  /** A multiple of `keyHeads`. */
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Value head v uses key head v / (valueHeads / keyHeads) where grouped, v % keyHeads where tiled. */
  readonly valueOrder: 'grouped' | 'tiled';
  /** [tokens, keyHeads · keyDim + keyHeads · keyDim + valueHeads · valueDim] f32: queries, keys, values */
  readonly mixed: GPUBufferBinding;
  /** [tokens, stride] f32, with the gates of the output [valueHeads, valueDim] from `first` on */
  readonly gate: { readonly buffer: GPUBufferBinding; readonly stride: number; readonly first: number };
  /** f32, beta and alpha before their functions: [tokens, keyHeads, 2, valueHeads / keyHeads] where grouped, [tokens, 2, valueHeads] where tiled */
  readonly rates: GPUBufferBinding;
  /** [valueHeads] f32: minus the rate of decay */
  readonly a: GPUBufferBinding;
  /** [valueHeads] f32, added to alpha */
  readonly dt: GPUBufferBinding;
  /** RMSNorm of each head's output: weight is [valueDim] f32. */
  readonly norm: { readonly weight: GPUBufferBinding; readonly eps: number };
  /** [valueHeads, keyDim, valueDim] f32, updated; not read where the pass starts at 0 */
  readonly memory: GPUBufferBinding;
  /** [tokens, valueHeads, valueDim] f32 */
  readonly out: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
}

/**
 * Gated delta rule over the batch's tokens, with the norm and the gate of its output. A pass is a scan: its tokens run
 * one after the other, all heads and columns at once. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function deltaNet(context: ShaderContext, args: DeltaNetArgs): Promise<Step> {
  const { label, keyHeads, valueHeads, keyDim, valueDim, valueOrder, mixed, gate, rates, a, dt, norm, memory, out, batch } = args;
  const repeat = valueHeads / keyHeads;
  if (keyHeads < 1 || valueHeads < 1 || !Number.isInteger(repeat)) {
    throw new KernelArgumentError(label, `${valueHeads} value heads over ${keyHeads} key heads; must be a whole multiple`);
  }
  for (const [name, size, most] of [['keys', keyDim, MOST_KEY_DIM], ['values', valueDim, MOST_VALUE_DIM]] as const) {
    if (size < 4 || size % 4 !== 0 || size > most) throw new KernelArgumentError(label, `${name} of ${size} dimensions; must be a multiple of 4 up to ${most}`);
  }
  if (gate.first + valueHeads * valueDim > gate.stride) {
    throw new KernelArgumentError(label, `${valueHeads * valueDim} gates from ${gate.first} on in rows of ${gate.stride}`);
  }
  return context.step({
    label,
    module: 'mixers/delta_net',
    sources: { 'mixers/delta_net.wesl': source },
    conditions: { TILED: valueOrder === 'tiled' },
    constants: {
      KEY_HEADS: keyHeads,
      REPEAT: repeat,
      KEY_VECTORS: keyDim / 4,
      VALUE_DIM: valueDim,
      Z_ROW: gate.stride,
      Z_FIRST: gate.first,
      EPS: norm.eps,
    },
    bindings: { 0: mixed, 1: gate.buffer, 2: rates, 3: a, 4: dt, 5: norm.weight, 6: memory, 7: out, 8: batch },
    workgroups: [valueHeads, 1, 1],
  });
}

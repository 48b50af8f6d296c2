import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/mixers/short_conv.wesl?raw';

/** Channels of a workgroup; it has as many stripes of tokens, of which each writes one position of the state. */
const WIDTH = 16;

export interface ShortConvArgs {
  readonly label: string;
  readonly channels: number;
  /** Positions that a token sees, itself included. */
  readonly kernel: number;
  /** `gates`: rows hold b, c and x, and the output is c * conv(b * x). `silu`: rows start with x, and the output is silu(conv(x)). */
  readonly kind: 'gates' | 'silu';
  /** [tokens, stride] f32 */
  readonly row: GPUBufferBinding;
  readonly stride: number;
  /** [channels, kernel] f32 */
  readonly weight: GPUBufferBinding;
  /** [kernel - 1, channels] f32: inputs of the positions before, updated; not read where the pass starts at 0 */
  readonly state: GPUBufferBinding;
  /** [tokens, channels] f32 */
  readonly out: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
}

/** Causal depthwise convolution over the last few positions. Throws `KernelArgumentError` for shapes that it cannot serve. */
export async function shortConv(context: ShaderContext, args: ShortConvArgs): Promise<Step> {
  const { label, channels, kernel, kind, row, stride, weight, state, out, batch } = args;
  if (!Number.isInteger(kernel) || kernel < 2 || kernel > WIDTH + 1) throw new KernelArgumentError(label, `a convolution over ${kernel} positions; must be 2 to ${WIDTH + 1}`);
  const width = kind === 'gates' ? 3 * channels : channels;
  if (stride < width) throw new KernelArgumentError(label, `${width} inputs in rows of ${stride}`);
  return context.step({
    label,
    module: 'mixers/short_conv',
    sources: { 'mixers/short_conv.wesl': source },
    conditions: { GATED: kind === 'gates' },
    constants: { CHANNELS: channels, KERNEL: kernel, ROW: stride },
    bindings: { 0: row, 1: weight, 2: state, 3: out, 4: batch },
    workgroups: [Math.ceil(channels / WIDTH), 1, 1],
  });
}

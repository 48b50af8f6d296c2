import type { ShaderContext } from '../context.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/rare/softcap.wesl?raw';

export interface SoftcapArgs {
  readonly label: string;
  /** [tokens, width] f32, overwritten */
  readonly x: GPUBufferBinding;
  readonly width: number;
  /** Bound that values approach. */
  readonly cap: number;
  /** Rows of x: the pass's tokens (default), or one. */
  readonly rows?: 'tokens' | 'one';
}

/** x = cap · tanh(x / cap), in place. */
export function softcap(context: ShaderContext, { label, x, width, cap, rows = 'tokens' }: SoftcapArgs): Promise<Step> {
  const across = Math.ceil(width / 256);
  return context.step({
    label,
    module: 'rare/softcap',
    sources: { 'rare/softcap.wesl': source },
    constants: { WIDTH: width, CAP: cap },
    bindings: { 0: x },
    workgroups: rows === 'one' ? [across, 1, 1] : ({ tokens }) => [across, tokens, 1],
  });
}

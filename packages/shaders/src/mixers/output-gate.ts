import type { ShaderContext } from '../context.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/mixers/output_gate.wesl?raw';

export interface OutputGateArgs {
  readonly label: string;
  readonly heads: number;
  /** Size of a query and of a value head. */
  readonly headDim: number;
  /** [tokens, stride] f32, each row starting with a query and a gate for each head */
  readonly row: GPUBufferBinding;
  readonly stride: number;
  /** [tokens, heads, headDim] f32, multiplied by the sigmoids of the gates */
  readonly out: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
}

/** Gates the output of attention. */
export function outputGate(context: ShaderContext, { label, heads, headDim, row, stride, out, batch }: OutputGateArgs): Promise<Step> {
  return context.step({
    label,
    module: 'mixers/output_gate',
    sources: { 'mixers/output_gate.wesl': source },
    constants: { HEADS: heads, HEAD_DIM: headDim, ROW: stride },
    bindings: { 0: row, 1: out, 2: batch },
    workgroups: ({ tokens }) => [Math.ceil((heads * headDim) / 64), tokens, 1],
  });
}

import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { GemmArgs } from '../gemm.ts';
import type { Step } from '../step.ts';
import { stackedRequest } from '../weights.ts';
import { fewTile, sources } from './few-tile.ts';

/** `gemm` for a pass of up to `MOST_FEW` tokens, which reads and decodes weights once for all of them. */
export async function gemmFew(context: ShaderContext, args: GemmArgs): Promise<Step> {
  const { label, x, weights, out, outOffset = 0, bias, scale = 1, residual = false, batch } = args;
  const { conditions, constants, rows, groups } = stackedRequest(label, weights);
  const outStride = args.outStride ?? rows;
  if (outOffset + rows > outStride) throw new KernelArgumentError(label, `${rows} outputs from ${outOffset} on in rows of ${outStride}`);
  const tile = fewTile(context, weights.matrices.map(({ type }) => type), groups);
  return context.step({
    label,
    module: 'few/gemm',
    sources,
    conditions: { ...conditions, ...tile.conditions, BIAS: bias !== undefined, RESIDUAL: residual },
    constants: { ...constants, ...tile.constants, ROWS: rows, OUT_OFFSET: outOffset, SCALE: scale, OUT_STRIDE: outStride },
    bindings: { 0: weights.binding, 1: x, 2: out, 3: batch, ...(bias ? { 4: bias } : {}) },
    workgroups: [Math.ceil(rows / (2 * tile.sets)), 1, 1],
  });
}

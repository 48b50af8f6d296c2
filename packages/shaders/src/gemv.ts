import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { gemvTile, type GemvTile } from './gemv-tile.ts';
import type { StackedWeights } from './planar.ts';
import type { Step } from './step.ts';
import { stackedRequest } from './weights.ts';

export interface GemvArgs {
  readonly label: string;
  /** [tokens, cols] f32 */
  readonly x: GPUBufferBinding;
  /** Up to three matrices of [rows, cols] in one buffer; their outputs are concatenated. */
  readonly weights: StackedWeights;
  /** f32, [total rows] written from `outOffset` on; not the same buffer as `x` */
  readonly out: GPUBufferBinding;
  /** Element of `out` that the first row goes to; default 0. */
  readonly outOffset?: number;
  /** RMSNorm of x before the product: weight is [cols] f32. */
  readonly norm?: { readonly weight: GPUBufferBinding; readonly eps: number };
  /** [cols] f32: stores the normed x as well. Needs `norm`. */
  readonly normOut?: GPUBufferBinding;
  /** [total rows] f32, added */
  readonly bias?: GPUBufferBinding;
  /** Factor on product and bias; default 1. */
  readonly scale?: number;
  /** Adds to `out` instead of overwriting it. */
  readonly residual?: boolean;
  /** Which token's row of x: the first (default), or the batch's last. `last` needs `batch`. */
  readonly row?: 'first' | 'last';
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch?: GPUBufferBinding;
  /** Default: by shape and adapter. */
  readonly tile?: GemvTile;
}

/** Matrix-vector product for one token: out = scale · (W norm(x) + bias), or out += that. */
export async function gemv(context: ShaderContext, args: GemvArgs): Promise<Step> {
  const { label, x, weights, out, outOffset = 0, norm, normOut, bias, scale = 1, residual = false, row = 'first', batch } = args;
  if (normOut && !norm) throw new KernelArgumentError(label, 'normOut without norm');
  if ((row === 'last') !== (batch !== undefined)) throw new KernelArgumentError(label, 'row "last" needs the batch, row "first" takes none');
  const { conditions, constants, rows, groups } = stackedRequest(label, weights);
  const { threads, lanes, rowsAThread } = args.tile ?? gemvTile(context, rows, groups);
  const tiles = Math.ceil(rows / ((threads / lanes) * rowsAThread));
  const across = Math.min(tiles, context.device.limits.maxComputeWorkgroupsPerDimension);
  return context.step({
    label,
    module: 'gemv',
    conditions: {
      ...conditions,
      NORM: norm !== undefined,
      NORM_OUT: normOut !== undefined,
      BIAS: bias !== undefined,
      RESIDUAL: residual,
      LAST_ROW: row === 'last',
    },
    constants: {
      ...constants,
      ROWS: rows,
      THREADS: threads,
      LANES: lanes,
      ROWS_A_THREAD: rowsAThread,
      OUT_OFFSET: outOffset,
      SCALE: scale,
      ...(norm ? { EPS: norm.eps } : {}),
    },
    bindings: {
      0: weights.binding,
      1: x,
      2: out,
      ...(norm ? { 8: norm.weight } : {}),
      ...(normOut ? { 4: normOut } : {}),
      ...(bias ? { 5: bias } : {}),
      ...(batch ? { 6: batch } : {}),
    },
    workgroups: [across, Math.ceil(tiles / across), 1],
  });
}

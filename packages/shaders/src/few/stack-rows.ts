import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import { MOST_FEW } from '../gemm.ts';
import type { Step } from '../step.ts';
import { sources } from './few-tile.ts';

/** Rows that a dispatch can bind beside its output. */
const ROWS_AT_ONCE = 4;

export interface StackRowsArgs {
  readonly label: string;
  /** `MOST_FEW` buffers of [width] f32 */
  readonly rows: readonly GPUBufferBinding[];
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** [rows, width] f32, written for the pass's tokens */
  readonly out: GPUBufferBinding;
  /** A multiple of 4. */
  readonly width: number;
}

/**
 * Brings together what each token's steps have left in a buffer of its own: where they wrote rows of one buffer, each
 * would wait for the one before. Two dispatches.
 */
export async function stackRows(context: ShaderContext, { label, rows, batch, out, width }: StackRowsArgs): Promise<readonly Step[]> {
  if (width % 4 !== 0 || rows.length !== MOST_FEW) throw new KernelArgumentError(label, `${rows.length} rows of ${width}; must be ${MOST_FEW}, of a multiple of 4`);
  const firsts = Array.from({ length: MOST_FEW / ROWS_AT_ONCE }, (_, i) => i * ROWS_AT_ONCE);
  return Promise.all(
    firsts.map((first) =>
      context.step({
        label,
        module: 'few/stack_rows',
        sources,
        constants: { VECTORS: width / 4, FIRST_ROW: first },
        bindings: { ...rows.slice(first, first + ROWS_AT_ONCE), 4: out, 5: batch },
        workgroups: [Math.ceil(width / 4 / 64), ROWS_AT_ONCE, 1],
      }),
    ),
  );
}

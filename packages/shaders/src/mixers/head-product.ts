import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import { formatConditions, type StackedWeights } from '../planar.ts';
import type { Step } from '../step.ts';
import { checkMatrix } from '../weights.ts';
import source from '../wgsl/mixers/head_product.wesl?raw';
import transposedSource from '../wgsl/mixers/head_product_transposed.wesl?raw';

/** Where the heads' parts lie in a token's row. */
export interface HeadRows {
  readonly buffer: GPUBufferBinding;
  /** Elements from a token's row to the next, and from a head's part to the next; multiples of 4. */
  readonly stride: number;
  readonly headStride: number;
}

export interface HeadProductArgs {
  readonly label: string;
  readonly heads: number;
  /** One matrix: the same number of rows for each head, one head after the other. */
  readonly weights: StackedWeights;
  /** Of each head's rows, the first that is used and how many are. */
  readonly firstRow: number;
  readonly rows: number;
  /** Multiplies by the transposed rows: outputs are the matrix's columns. */
  readonly transposed: boolean;
  readonly x: HeadRows;
  /** Written: of each head's part the first elements, as many as there are outputs. */
  readonly out: HeadRows;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
  /** Whether passes may have more than one token. */
  readonly many: boolean;
}

/** Product of each head's part of a token's row with a matrix of the head's own. Throws `KernelArgumentError` for shapes that it cannot serve. */
export async function headProduct(context: ShaderContext, args: HeadProductArgs): Promise<Step> {
  const { label, heads, weights, firstRow, rows, transposed, x, out, batch, many } = args;
  const [matrix] = weights.matrices;
  if (!matrix || weights.matrices.length > 1) throw new KernelArgumentError(label, `needs one matrix, got ${weights.matrices.length}`);
  checkMatrix(label, matrix);
  const headRows = matrix.rows / heads;
  if (!Number.isInteger(headRows)) throw new KernelArgumentError(label, `${matrix.rows} rows do not divide into ${heads} heads`);
  if (firstRow < 0 || rows < 1 || firstRow + rows > headRows) throw new KernelArgumentError(label, `rows ${firstRow} to ${firstRow + rows} of a head's ${headRows}`);
  for (const { stride, headStride } of [x, out]) {
    if (stride % 4 !== 0 || headStride % 4 !== 0) throw new KernelArgumentError(label, `rows of ${stride} and heads of ${headStride} elements; must be multiples of 4`);
  }
  const groups = matrix.cols / 32;
  const tile = many ? (transposed ? 4 : 8) : 1;
  // Whole vectors are read where columns are inputs, and written where they are outputs.
  const [xUnit, outUnit] = transposed ? [1, 4] : [4, 1];
  return context.step({
    label,
    module: transposed ? 'mixers/head_product_transposed' : 'mixers/head_product',
    sources: { 'mixers/head_product.wesl': source, 'mixers/head_product_transposed.wesl': transposedSource },
    conditions: { ...formatConditions([matrix.type]), MANY: many },
    constants: {
      TYPE: matrix.type,
      BASE: matrix.baseWord,
      ELEMENTS: matrix.rows * matrix.cols,
      GROUPS: groups,
      HEAD_ROWS: headRows,
      FIRST_ROW: firstRow,
      ROWS: rows,
      X_STRIDE: x.stride / xUnit,
      X_HEAD: x.headStride / xUnit,
      OUT_STRIDE: out.stride / outUnit,
      OUT_HEAD: out.headStride / outUnit,
    },
    bindings: { 0: weights.binding, 1: x.buffer, 2: out.buffer, 3: batch },
    workgroups: ({ tokens }) => [heads, transposed ? groups : Math.ceil(rows / 64), Math.ceil(tokens / tile)],
  });
}

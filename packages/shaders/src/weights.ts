import type { Conditions } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { formatConditions, planarFormat, type PlanarMatrix, type StackedWeights } from './planar.ts';

/** Throws `KernelArgumentError` for a matrix that the decoders would misread. */
export function checkMatrix(kernel: string, { type, rows, cols, baseWord }: PlanarMatrix): void {
  const { name, blockSize } = planarFormat(type);
  if (rows < 1 || !Number.isInteger(rows)) throw new KernelArgumentError(kernel, `a matrix of ${rows} rows; must be a whole number above 0`);
  if (cols < 1 || cols % Math.max(32, blockSize) !== 0) {
    throw new KernelArgumentError(kernel, `rows of ${cols} ${name} weights; must be a multiple of ${Math.max(32, blockSize)}`);
  }
  if (baseWord % 4 !== 0) throw new KernelArgumentError(kernel, `a matrix at word ${baseWord}; must start at a multiple of 4 words`);
}

/** What a kernel needs to read stacked matrices (stacked.wesl), and their shape. */
export interface StackedRequest {
  readonly conditions: Conditions;
  readonly constants: Readonly<Record<string, number>>;
  /** Outputs of all matrices. */
  readonly rows: number;
  /** Inputs, in groups of 32. */
  readonly groups: number;
}

/** Throws `KernelArgumentError` unless there are one to three matrices over the same number of inputs. */
export function stackedRequest(kernel: string, { matrices }: StackedWeights): StackedRequest {
  const [first] = matrices;
  if (!first || matrices.length > 3) throw new KernelArgumentError(kernel, `${matrices.length} stacked matrices; between 1 and 3 are possible`);
  for (const matrix of matrices) {
    checkMatrix(kernel, matrix);
    if (matrix.cols !== first.cols) throw new KernelArgumentError(kernel, `stacked matrices of ${first.cols} and of ${matrix.cols} inputs`);
  }
  const mixed = matrices.some(({ type }) => type !== first.type);
  const groups = first.cols / 32;
  const constants: Record<string, number> = { GROUPS: groups };
  for (const [i, { type, rows, baseWord }] of matrices.entries()) {
    constants[`BASE_${i}`] = baseWord;
    constants[`ROWS_${i}`] = rows;
    if (mixed || i === 0) constants[`TYPE_${i}`] = type;
  }
  return {
    conditions: {
      ...formatConditions(matrices.map(({ type }) => type)),
      STACKED_2: matrices.length > 1,
      STACKED_3: matrices.length > 2,
      MIXED: mixed,
    },
    constants,
    rows: matrices.reduce((sum, { rows }) => sum + rows, 0),
    groups,
  };
}

import { KernelArgumentError } from './errors.ts';
import { planarFormat, type PlanarMatrix } from './planar.ts';

/** Throws `KernelArgumentError` for a matrix that the decoders would misread. */
export function checkMatrix(kernel: string, { type, rows, cols, baseWord }: PlanarMatrix): void {
  const { name, blockSize } = planarFormat(type);
  if (rows < 1 || !Number.isInteger(rows)) throw new KernelArgumentError(kernel, `a matrix of ${rows} rows; must be a whole number above 0`);
  if (cols < 1 || cols % Math.max(32, blockSize) !== 0) {
    throw new KernelArgumentError(kernel, `rows of ${cols} ${name} weights; must be a multiple of ${Math.max(32, blockSize)}`);
  }
  if (baseWord % 4 !== 0) throw new KernelArgumentError(kernel, `a matrix at word ${baseWord}; must start at a multiple of 4 words`);
}

import { planarLayout, type PlanarMatrix, type StackedWeights } from '../../src/planar.ts';
import type { KernelTest } from '../harness/kernel-case.ts';
import { randomMatrix } from './quants.ts';

export interface Shape {
  readonly type: number;
  readonly rows: number;
}

/** Random stacked matrices on the GPU, lying a little into their buffer, and the weights of all their rows. */
export interface RandomStack {
  readonly weights: StackedWeights;
  readonly values: Float64Array;
  readonly rows: number;
  readonly cols: number;
}

export function randomStack(t: KernelTest, shapes: readonly Shape[], cols: number): RandomStack {
  let baseWord = 8;
  const parts = shapes.map(({ type, rows }) => {
    const matrix: PlanarMatrix = { type, rows, cols, baseWord };
    baseWord += planarLayout(type, rows * cols).words;
    return { matrix, ...randomMatrix(t, type, rows, cols, 1 / Math.sqrt(cols)) };
  });
  const bytes = new Uint8Array(baseWord * 4).fill(0xff);
  for (const { matrix, planar } of parts) bytes.set(planar, matrix.baseWord * 4);
  const rows = shapes.reduce((sum, shape) => sum + shape.rows, 0);
  const values = new Float64Array(rows * cols);
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { weights: { binding: t.input(bytes), matrices: parts.map(({ matrix }) => matrix) }, values, rows, cols };
}

/** W x in f64. */
export function product({ values, rows, cols }: RandomStack, x: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let col = 0; col < cols; col++) sum += (values[row * cols + col] ?? NaN) * (x[col] ?? NaN);
    return sum;
  });
}

/** RMSNorm in f64. */
export function normed(x: ArrayLike<number>, weight: ArrayLike<number>, eps: number): Float64Array {
  const values = Float64Array.from(x);
  const scale = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length + eps);
  return values.map((value, i) => value * scale * (weight[i] ?? NaN));
}

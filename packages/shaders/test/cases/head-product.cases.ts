import { headProduct } from '../../src/mixers/head-product.ts';
import { expectClose, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { randomStack } from '../reference/linear.ts';

interface Shape {
  readonly type: number;
  readonly heads: number;
  /** Of each head's rows: before those that are used, used, and after. */
  readonly rows: readonly [before: number, used: number, after: number];
  readonly cols: number;
}

const [F32, F16, Q4_0, Q5_0, Q8_0, Q4_K, Q6_K] = [0, 1, 2, 6, 8, 12, 14];

const SHAPES: readonly Shape[] = [
  { type: F32, heads: 1, rows: [0, 1, 0], cols: 32 },
  { type: Q5_0, heads: 4, rows: [0, 128, 0], cols: 64 },
  { type: F16, heads: 3, rows: [0, 65, 3], cols: 96 },
  { type: Q4_0, heads: 2, rows: [64, 32, 0], cols: 128 },
  { type: Q8_0, heads: 5, rows: [0, 63, 64], cols: 32 },
  { type: Q4_K, heads: 2, rows: [32, 64, 0], cols: 256 },
  { type: Q6_K, heads: 3, rows: [1, 200, 7], cols: 512 },
];

async function expectProduct(t: KernelTest, { type, heads, rows: [before, used, after], cols }: Shape, transposed: boolean, many: boolean, tokens: number): Promise<void> {
  const headRows = before + used + after;
  const stack = randomStack(t, [{ type, rows: heads * headRows }], cols);
  const [inputs, outputs] = transposed ? [used, cols] : [cols, used];
  const upTo4 = (size: number): number => Math.ceil(size / 4) * 4;
  const [xHead, outHead] = [upTo4(inputs) + 4, upTo4(outputs) + 8];
  const [xStride, outStride] = [heads * xHead + 12, heads * outHead + 4];
  const x = t.randomNormal(tokens * xStride);
  const out = t.output((tokens + 1) * outStride * 4);
  const step = await headProduct(t.context, {
    label: 'head_product',
    heads,
    weights: stack.weights,
    firstRow: before,
    rows: used,
    transposed,
    x: { buffer: t.input(x), stride: xStride, headStride: xHead },
    out: { buffer: out, stride: outStride, headStride: outHead },
    batch: t.input(Uint32Array.of(5, tokens)),
    many,
  });
  // A token more than the batch has: nothing is written for it.
  await t.run([step], { tokens: tokens + 1, context: 0 });

  const actual = await t.readFloats(out, (tokens + 1) * outStride);
  const expected: number[] = [];
  const found: number[] = [];
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      for (let o = 0; o < outputs; o++) {
        let sum = 0;
        for (let i = 0; i < inputs; i++) {
          const [row, col] = transposed ? [i, o] : [o, i];
          sum += (stack.values[(head * headRows + before + row) * cols + col] ?? NaN) * (x[token * xStride + head * xHead + i] ?? NaN);
        }
        expected.push(sum);
        found.push(actual[token * outStride + head * outHead + o] ?? NaN);
      }
    }
  }
  expectClose('head product', found, expected);
  const written = actual.filter((value) => !Number.isNaN(value)).length;
  if (written !== expected.length) throw new Error(`wrote ${written} values instead of ${expected.length}`);
}

for (const shape of SHAPES) {
  const { type, heads, rows, cols } = shape;
  for (const transposed of [false, true]) {
    kernelCase(`head product, type ${type}, ${heads} heads, rows ${rows.join('+')} of ${cols}${transposed ? ', transposed' : ''}`, async (t) => {
      await expectProduct(t, shape, transposed, false, 1);
      for (const tokens of [1, 7, 8, 9]) await expectProduct(t, shape, transposed, true, tokens);
    });
  }
}

kernelCase('head product refuses shapes that it cannot serve', async (t) => {
  const buffer = t.output(1024);
  const matrix = { type: F32, rows: 8, cols: 32, baseWord: 0 };
  const rows = { buffer, stride: 128, headStride: 32 };
  const args = { label: 'p', heads: 2, weights: { binding: buffer, matrices: [matrix] }, firstRow: 0, rows: 4, transposed: false, x: rows, out: rows, batch: buffer, many: false };
  for (const request of [
    { ...args, heads: 3 },
    { ...args, firstRow: 1 },
    { ...args, x: { ...rows, headStride: 6 } },
    { ...args, weights: { binding: buffer, matrices: [matrix, matrix] } },
  ]) {
    const error = await headProduct(t.context, request).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
  }
});

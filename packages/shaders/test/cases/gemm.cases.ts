import { gemm, MOST_FEW } from '../../src/gemm.ts';
import { PLANAR_FORMATS } from '../../src/planar.ts';
import { expectClose, kernelCase, matrixTolerance, type KernelTest } from '../harness/kernel-case.ts';
import { product, randomStack, type RandomStack } from '../reference/linear.ts';

const Q8_0 = 8;

function tokenRows(x: Float32Array, cols: number): readonly Float32Array[] {
  return Array.from({ length: x.length / cols }, (_, token) => x.subarray(token * cols, (token + 1) * cols));
}

async function expectPlain(t: KernelTest, stack: RandomStack, tokens: number, maxTokens = 130): Promise<void> {
  const { rows, cols, weights } = stack;
  const x = t.randomNormal(tokens * cols);
  // A row more than there are tokens, which must stay as it is.
  const out = t.output((tokens + 1) * rows * 4);
  const batch = t.input(Uint32Array.of(5, tokens));
  const step = await gemm(t.context, { label: 'gemm', x: t.input(x), weights, out, batch, maxTokens });
  await t.run([step], { tokens, context: 5 + tokens });
  const held = await t.readFloats(out, (tokens + 1) * rows);
  expectClose(`${tokens} x ${rows} x ${cols}`, held.subarray(0, tokens * rows), tokenRows(x, cols).flatMap((row) => [...product(stack, row)]), matrixTolerance(t));
  if (!held.subarray(tokens * rows).every(Number.isNaN)) throw new Error('rows beyond the batch were written');
}

// Three types at a time: SwiftShader takes a second to compile one of these.
for (let i = 0; i < PLANAR_FORMATS.length; i += 3) {
  const formats = PLANAR_FORMATS.slice(i, i + 3);
  kernelCase(`gemm stacked: ${formats.map(({ name }) => name).join(', ')}`, async (t) => {
    // Few rows and many go through kernels of their own.
    for (const rows of [[63, 2, 15], [190, 2, 195]]) {
      const shapes = formats.map(({ id }, n) => ({ type: id, rows: rows[n] ?? 1 }));
      await expectPlain(t, randomStack(t, shapes, formats.some(({ blockSize }) => blockSize > 32) ? 512 : 288), 7);
    }
    const shapes = formats.map(({ id }, n) => ({ type: id, rows: 5 + n }));
    await expectPlain(t, randomStack(t, shapes, 512), 7, MOST_FEW);
  });
}

for (const [rows, cols] of [[1, 32], [64, 288], [256, 2048], [257, 96], [320, 2048]] as const) {
  kernelCase(`gemm of ${rows} rows of ${cols}`, async (t) => {
    const stack = randomStack(t, [{ type: Q8_0, rows }], cols);
    for (const tokens of cols === 2048 ? [33] : rows > 256 ? [1, 63, 64, 65, 129] : [1, 15, 16, 17, 33]) await expectPlain(t, stack, tokens);
  });
}

for (const [rows, cols] of [[1, 32], [31, 96], [32, 512], [33, 544], [257, 2048]] as const) {
  kernelCase(`gemm of ${rows} rows of ${cols} for few tokens`, async (t) => {
    const stack = randomStack(t, [{ type: Q8_0, rows }], cols);
    for (const tokens of cols === 2048 ? [8] : [1, 2, 3, 4, 5, 6, 7, 8]) await expectPlain(t, stack, tokens, MOST_FEW);
  });
}

for (const [rows, tokens, maxTokens] of [[41, 35, 64], [281, 35, 64], [41, 6, MOST_FEW]] as const) {
  kernelCase(`gemm of ${rows} rows for ${tokens} of ${maxTokens} tokens with bias, scale and residual into a part of wider rows`, async (t) => {
    const stack = randomStack(t, [{ type: Q8_0, rows: 37 }, { type: Q8_0, rows: rows - 37 }], 96);
    const outStride = rows + 9;
    const x = t.randomNormal(tokens * 96);
    const bias = t.randomNormal(rows);
    const before = t.randomNormal(tokens * outStride);
    const out = t.input(before);
    const batch = t.input(Uint32Array.of(0, tokens));
    const args = { label: 'gemm', x: t.input(x), weights: stack.weights, out, outOffset: 3, outStride, bias: t.input(bias), scale: 0.22, residual: true, batch, maxTokens };
    // More workgroups than the batch needs, as when the counts come from a larger pass.
    await t.run([await gemm(t.context, args)], { tokens: maxTokens, context: maxTokens });
    const y = tokenRows(x, 96).map((row) => product(stack, row));
    const expected = Float64Array.from(before, (value, at) => {
      const row = (at % outStride) - 3;
      return row < 0 || row >= rows ? value : value + 0.22 * ((y[Math.floor(at / outStride)]?.[row] ?? NaN) + (bias[row] ?? NaN));
    });
    expectClose('out', await t.readFloats(out, before.length), expected, matrixTolerance(t));
  });
}

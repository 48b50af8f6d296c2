import { outputGate } from '../../src/mixers/output-gate.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';

for (const [heads, headDim] of [[1, 4], [3, 64], [5, 20]] as const) {
  kernelCase(`output gate of ${heads} heads of ${headDim}`, async (t) => {
    const tokens = 3;
    const width = heads * headDim;
    const stride = 2 * width + 12;
    const rows = t.randomNormal(tokens * stride, 3);
    const values = t.randomNormal((tokens + 1) * width);
    const out = t.input(values);
    const step = await outputGate(t.context, { label: 'gate', heads, headDim, row: t.input(rows), stride, out, batch: t.input(Uint32Array.of(4, tokens)) });
    // A token more than the batch has stays as it is.
    await t.run([step], { tokens: tokens + 1, context: 8 });
    const expected = Float64Array.from(values, (value, i) => {
      const [token, at] = [Math.floor(i / width), i % width];
      const gate = rows[token * stride + Math.floor(at / headDim) * 2 * headDim + headDim + (at % headDim)] ?? NaN;
      return token < tokens ? value / (1 + Math.exp(-gate)) : value;
    });
    expectClose('gated', await t.readFloats(out, expected.length), expected, { relative: 1e-6 });
  });
}

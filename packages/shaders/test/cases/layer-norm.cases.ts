import { layerNorm } from '../../src/rare/layer-norm.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';

function reference(x: Float32Array, weight: Float32Array, bias: Float32Array, eps: number): Float64Array {
  const width = weight.length;
  return Float64Array.from(x, (value, at) => {
    const row = Float64Array.from(x.subarray(at - (at % width), at - (at % width) + width));
    const mean = row.reduce((sum, other) => sum + other, 0) / width;
    const variance = row.reduce((sum, other) => sum + (other - mean) ** 2, 0) / width;
    return ((value - mean) / Math.sqrt(variance + eps)) * (weight[at % width] ?? NaN) + (bias[at % width] ?? NaN);
  });
}

// Rows around 0, and rows that lie a hundred deviations from it.
for (const offset of [0, 100]) {
  for (const width of [1, 63, 64, 255, 256, 257, 2048]) {
    kernelCase(`layer-norm of rows of ${width} around ${offset}`, async (t) => {
      const eps = 1e-5;
      for (const tokens of [1, 3]) {
        const x = t.randomNormal(tokens * width).map((value) => value + offset);
        const weight = t.randomNormal(width);
        const bias = t.randomNormal(width);
        const out = t.output((tokens * width + 1) * 4);
        const untouched = (await t.readFloats(out, tokens * width + 1)).at(-1) ?? NaN;
        const step = await layerNorm(t.context, { label: 'norm', x: t.input(x), weight: t.input(weight), bias: t.input(bias), out, width, eps });
        await t.run([step], { tokens, context: tokens });
        // In f32 a row's values are only as exact as its offset lets them be; one value alone is its own mean.
        const absolute = offset * 4e-6;
        const got = await t.readFloats(out, tokens * width + 1);
        expectClose('out', got.subarray(0, -1), reference(x, weight, bias, eps), { relative: 1e-5, absolute: 1e-5 + absolute });
        if (!Object.is(got.at(-1), untouched)) throw new Error('wrote beyond the last row');
      }
    });
  }
}

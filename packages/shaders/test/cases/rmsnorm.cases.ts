import { rmsNorm } from '../../src/rmsnorm.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';
import { normed } from '../reference/linear.ts';

for (const [width, beyond] of [[1, 0], [63, 0], [64, 96], [255, 0], [256, 0], [257, 3], [2048, 0]] as const) {
  for (const tokens of [1, 3]) {
    kernelCase(`rmsnorm ${tokens}x${width}${beyond > 0 ? ` of ${width + beyond}` : ''}`, async (t) => {
      const eps = 1e-5;
      const stride = width + beyond;
      const x = t.randomNormal(tokens * stride, 3);
      const weight = t.randomNormal(width);
      const out = t.output(tokens * width * 4);
      const step = await rmsNorm(t.context, { label: 'rmsnorm', x: t.input(x), weight: t.input(weight), out, width, stride, eps });
      await t.run([step], { tokens, context: tokens });
      const expected = new Float64Array(tokens * width);
      for (let row = 0; row < tokens; row++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += (x[row * stride + i] ?? NaN) ** 2;
        const scale = 1 / Math.sqrt(sum / width + eps);
        for (let i = 0; i < width; i++) expected[row * width + i] = (x[row * stride + i] ?? NaN) * scale * (weight[i] ?? NaN);
      }
      expectClose('rmsnorm', await t.readFloats(out, tokens * width), expected);
    });
  }
}

for (const scaled of [false, true]) {
  kernelCase(`rmsnorm added to what is there${scaled ? ', then scaled' : ''}`, async (t) => {
    const [width, tokens, eps, factor] = [300, 3, 1e-6, 0.7];
    const x = t.randomNormal(tokens * width, 3);
    const weight = t.randomNormal(width);
    const before = t.randomNormal(tokens * width + 1);
    const out = t.input(before);
    const outScale = scaled ? { outScale: t.input(Float32Array.of(factor)) } : {};
    await t.run([await rmsNorm(t.context, { label: 'rmsnorm', x: t.input(x), weight: t.input(weight), out, width, eps, residual: true, ...outScale })], { tokens, context: tokens });
    const norms = Array.from({ length: tokens }, (_, token) => [...normed(x.subarray(token * width, (token + 1) * width), weight, eps)]).flat();
    const expected = Array.from(before, (value, i) => (i < norms.length ? (value + (norms[i] ?? NaN)) * (scaled ? factor : 1) : value));
    expectClose('rmsnorm', await t.readFloats(out, before.length), expected);
  });
}

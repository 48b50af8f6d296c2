import { rmsNorm } from '../../src/rmsnorm.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';

for (const width of [1, 63, 64, 255, 256, 257, 2048]) {
  for (const tokens of [1, 3]) {
    kernelCase(`rmsnorm ${tokens}x${width}`, async (t) => {
      const eps = 1e-5;
      const x = t.randomNormal(tokens * width, 3);
      const weight = t.randomNormal(width);
      const out = t.output(tokens * width * 4);
      const step = await rmsNorm(t.context, { label: 'rmsnorm', x: t.input(x), weight: t.input(weight), out, width, eps });
      await t.run([step], { tokens, context: tokens });
      const expected = new Float64Array(tokens * width);
      for (let row = 0; row < tokens; row++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += (x[row * width + i] ?? NaN) ** 2;
        const scale = 1 / Math.sqrt(sum / width + eps);
        for (let i = 0; i < width; i++) expected[row * width + i] = (x[row * width + i] ?? NaN) * scale * (weight[i] ?? NaN);
      }
      expectClose('rmsnorm', await t.readFloats(out, tokens * width), expected);
    });
  }
}

import { softcap } from '../../src/rare/softcap.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';

for (const width of [1, 255, 256, 257, 5000]) {
  kernelCase(`softcap of rows of ${width}`, async (t) => {
    for (const tokens of [1, 3]) {
      const values = Float32Array.of(...t.randomNormal(tokens * width, 40), 50);
      // Far beyond what exp() can hold, and small enough that nothing is capped.
      values.set([1e30, -1e30, 1e-3].slice(0, width));
      const x = t.input(values);
      await t.run([await softcap(t.context, { label: 'softcap', x, width, cap: 30 })], { tokens, context: tokens });
      expectClose('softcap', await t.readFloats(x, values.length), [...values.subarray(0, -1)].map((value) => 30 * Math.tanh(value / 30)).concat(50), { relative: 1e-6, absolute: 4e-6 });
    }
  });
}

kernelCase('softcap of one row in a pass of many tokens', async (t) => {
  const values = t.randomNormal(600, 40);
  const x = t.input(values);
  await t.run([await softcap(t.context, { label: 'softcap', x, width: 300, cap: 5, rows: 'one' })], { tokens: 2, context: 2 });
  expectClose('softcap', await t.readFloats(x, 600), Array.from(values, (value, i) => (i < 300 ? 5 * Math.tanh(value / 5) : value)), { relative: 1e-6, absolute: 1e-6 });
});

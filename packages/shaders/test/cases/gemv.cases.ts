import { ShaderContext } from '../../src/context.ts';
import { gemv } from '../../src/gemv.ts';
import { PLANAR_FORMATS } from '../../src/planar.ts';
import { expectClose, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { normed, product, randomStack, type RandomStack, type Shape } from '../reference/linear.ts';

const F32 = 0;
const F16 = 1;
const Q4_0 = 2;
const Q8_0 = 8;
const Q4_K = 12;
const Q6_K = 14;

async function expectPlain(t: KernelTest, stack: RandomStack, context = t.context): Promise<void> {
  const x = t.randomNormal(stack.cols);
  const out = t.output(stack.rows * 4);
  await t.run([await gemv(context, { label: 'gemv', x: t.input(x), weights: stack.weights, out })]);
  expectClose(`${stack.rows}x${stack.cols}`, await t.readFloats(out, stack.rows), product(stack, x));
}

for (const { id, name, blockSize } of PLANAR_FORMATS) {
  kernelCase(`gemv ${name}`, async (t) => {
    await expectPlain(t, randomStack(t, [{ type: id, rows: 9 }], blockSize > 32 ? 512 : 288));
  });
}

for (const cols of [32, 64, 256, 288, 2048, 4128]) {
  kernelCase(`gemv of ${cols} inputs`, async (t) => {
    for (const rows of [1, 63, 64, 65]) await expectPlain(t, randomStack(t, [{ type: Q8_0, rows }], cols));
  });
}

// Enough rows that each thread takes two, four; the last tile is not full.
for (const rows of [1027, 2051]) {
  kernelCase(`gemv of ${rows} rows`, (t) => expectPlain(t, randomStack(t, [{ type: Q4_0, rows }], 2048)));
}

const stacks: Readonly<Record<string, readonly Shape[]>> = {
  'two of one type': [{ type: Q8_0, rows: 3 }, { type: Q8_0, rows: 66 }],
  'two of two types': [{ type: F32, rows: 5 }, { type: F16, rows: 7 }],
  'three of one type': [{ type: Q4_K, rows: 65 }, { type: Q4_K, rows: 1 }, { type: Q4_K, rows: 31 }],
  'three, the last of another type': [{ type: Q4_K, rows: 64 }, { type: Q4_K, rows: 16 }, { type: Q6_K, rows: 16 }],
  'three of three types': [{ type: Q4_K, rows: 1 }, { type: F32, rows: 2 }, { type: Q6_K, rows: 3 }],
};
for (const [name, shapes] of Object.entries(stacks)) {
  kernelCase(`gemv stacked: ${name}`, (t) => expectPlain(t, randomStack(t, shapes, 768)));
}

for (const cols of [32, 288, 2048]) {
  kernelCase(`gemv with norm, bias, scale and residual of ${cols} inputs`, async (t) => {
    const stack = randomStack(t, [{ type: Q8_0, rows: 37 }, { type: F32, rows: 4 }], cols);
    const eps = 1e-5;
    const x = t.randomNormal(cols, 3);
    const weight = t.randomNormal(cols);
    const bias = t.randomNormal(stack.rows);
    const before = t.randomNormal(stack.rows + 5);
    const out = t.input(before);
    const normOut = t.output(cols * 4);
    const norm = { weight: t.input(weight), eps };
    const args = { label: 'gemv', x: t.input(x), weights: stack.weights, out, outOffset: 3, norm, normOut, bias: t.input(bias), scale: 0.22, residual: true };
    await t.run([await gemv(t.context, args)]);
    const y = product(stack, normed(x, weight, eps));
    const expected = Float64Array.from(before, (value, i) => value + (i >= 3 && i < 3 + stack.rows ? 0.22 * ((y[i - 3] ?? NaN) + (bias[i - 3] ?? NaN)) : 0));
    expectClose('out', await t.readFloats(out, before.length), expected);
    expectClose('normOut', await t.readFloats(normOut, cols), normed(x, weight, eps));
  });
}

kernelCase('gemv of the last token of a batch', async (t) => {
  const stack = randomStack(t, [{ type: Q8_0, rows: 10 }], 64);
  const x = t.randomNormal(7 * 64);
  const weight = t.randomNormal(64);
  const out = t.output(40);
  const batch = t.input(Uint32Array.of(100, 6));
  const norm = { weight: t.input(weight), eps: 1e-6 };
  await t.run([await gemv(t.context, { label: 'gemv', x: t.input(x), weights: stack.weights, out, norm, row: 'last', batch })]);
  expectClose('out', await t.readFloats(out, 10), product(stack, normed(x.subarray(5 * 64, 6 * 64), weight, 1e-6)));
});

kernelCase('gemv folds more workgroups than fit a dimension', async (t) => {
  // The device's own limit would take gigabytes to reach.
  const limited = new Proxy(t.device, {
    get(device, key) {
      if (key === 'limits') return { maxComputeWorkgroupsPerDimension: 10 };
      const member: unknown = Reflect.get(device, key, device);
      return typeof member === 'function' ? member.bind(device) : member;
    },
  });
  await expectPlain(t, randomStack(t, [{ type: F32, rows: 33 }], 2048), new ShaderContext(limited, t.context.features));
});

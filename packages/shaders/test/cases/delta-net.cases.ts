import { deltaNet, type DeltaNetArgs } from '../../src/mixers/delta-net.ts';
import { expectClose, kernelCase, type KernelTest } from '../harness/kernel-case.ts';

type Shape = Pick<DeltaNetArgs, 'keyHeads' | 'valueHeads' | 'keyDim' | 'valueDim' | 'valueOrder'>;

const EPS = 1e-6;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const squareSum = (x: readonly number[]): number => x.reduce((sum, value) => sum + value * value, 0);
const unit = (x: readonly number[]): number[] => x.map((value) => value / Math.sqrt(squareSum(x) + 1e-6));

/** Random inputs of `tokens` tokens, [tokens, width] each. */
function randomInputs(t: KernelTest, { keyHeads, valueHeads, keyDim, valueDim }: Shape, tokens: number) {
  const width = 2 * keyHeads * keyDim + valueHeads * valueDim;
  const [first, stride] = [7, 7 + valueHeads * valueDim + 2];
  return {
    width,
    first,
    stride,
    mixed: t.randomNormal(tokens * width),
    gates: t.randomNormal(tokens * stride),
    rates: t.randomNormal(tokens * 2 * valueHeads, 2),
    a: t.randomNormal(valueHeads).map((x) => -Math.abs(x)),
    dt: t.randomNormal(valueHeads),
    norm: t.randomNormal(valueDim),
  };
}

/** The recurrence in f64, matrix by matrix: [tokens, valueHeads, valueDim]. */
function reference(inputs: ReturnType<typeof randomInputs>, shape: Shape, tokens: number): Float64Array {
  const { keyHeads, valueHeads, keyDim, valueDim, valueOrder } = shape;
  const { width, first, stride, mixed, gates, rates, a, dt, norm } = inputs;
  const out = new Float64Array(tokens * valueHeads * valueDim);
  const repeat = valueHeads / keyHeads;
  for (let head = 0; head < valueHeads; head++) {
    const keyHead = valueOrder === 'tiled' ? head % keyHeads : Math.floor(head / repeat);
    const [b, alpha] = valueOrder === 'tiled' ? [head, valueHeads + head] : [keyHead * 2 * repeat + (head % repeat), keyHead * 2 * repeat + repeat + (head % repeat)];
    let memory = Array.from({ length: keyDim }, () => Array.from({ length: valueDim }, () => 0));
    for (let token = 0; token < tokens; token++) {
      const part = (from: number, length: number): number[] => [...mixed.subarray(token * width + from, token * width + from + length)];
      const q = unit(part(keyHead * keyDim, keyDim));
      const k = unit(part((keyHeads + keyHead) * keyDim, keyDim));
      const v = part(2 * keyHeads * keyDim + head * valueDim, valueDim);
      const rate = (at: number): number => rates[token * 2 * valueHeads + at] ?? NaN;
      const decay = Math.exp((a[head] ?? NaN) * Math.log1p(Math.exp(rate(alpha) + (dt[head] ?? NaN))));
      memory = memory.map((row) => row.map((value) => value * decay));
      const read = (by: readonly number[]): number[] => v.map((_, j) => by.reduce((sum, x, i) => sum + x * (memory[i]?.[j] ?? NaN), 0));
      const found = read(k);
      const change = v.map((value, j) => sigmoid(rate(b)) * (value - (found[j] ?? NaN)));
      memory = memory.map((row, i) => row.map((value, j) => value + (k[i] ?? NaN) * (change[j] ?? NaN)));
      const o = read(q).map((value) => value / Math.sqrt(keyDim));
      const scale = 1 / Math.sqrt(squareSum(o) / valueDim + EPS);
      for (const [j, value] of o.entries()) {
        const z = gates[token * stride + first + head * valueDim + j] ?? NaN;
        out[(token * valueHeads + head) * valueDim + j] = (norm[j] ?? NaN) * value * scale * z * sigmoid(z);
      }
    }
  }
  return out;
}

/** A sequence in passes over one memory, against the whole sequence's reference. */
async function expectRecurrent(t: KernelTest, shape: Shape, passes: readonly number[]): Promise<void> {
  const { valueHeads, keyDim, valueDim } = shape;
  const tokens = passes.reduce((sum, count) => sum + count, 0);
  const inputs = randomInputs(t, shape, tokens);
  const { width, first, stride } = inputs;
  const expected = reference(inputs, shape, tokens);
  const memory = t.output(valueHeads * keyDim * valueDim * 4);
  const [a, dt, norm] = [t.input(inputs.a), t.input(inputs.dt), t.input(inputs.norm)];
  const outWidth = valueHeads * valueDim;
  let start = 0;
  for (const count of passes) {
    const rows = (all: Float32Array<ArrayBuffer>, rowWidth: number) => t.input(all.slice(start * rowWidth, (start + count) * rowWidth));
    const out = t.output((count + 1) * outWidth * 4);
    const step = await deltaNet(t.context, {
      label: 'delta_net',
      ...shape,
      mixed: rows(inputs.mixed, width),
      gate: { buffer: rows(inputs.gates, stride), stride, first },
      rates: rows(inputs.rates, 2 * valueHeads),
      a,
      dt,
      norm: { weight: norm, eps: EPS },
      memory,
      out,
      batch: t.input(Uint32Array.of(start, count)),
    });
    await t.run([step], { tokens: count, context: start + count });
    const actual = await t.readFloats(out, (count + 1) * outWidth);
    expectClose(`${count} at ${start}`, actual.subarray(0, count * outWidth), expected.subarray(start * outWidth, (start + count) * outWidth), { relative: 2e-5 });
    if (!actual.subarray(count * outWidth).every(Number.isNaN)) throw new Error('wrote beyond the last token');
    start += count;
  }
}

const SHAPES: readonly Shape[] = [
  { keyHeads: 1, valueHeads: 1, keyDim: 4, valueDim: 4, valueOrder: 'grouped' },
  { keyHeads: 2, valueHeads: 4, keyDim: 64, valueDim: 64, valueOrder: 'grouped' },
  { keyHeads: 2, valueHeads: 6, keyDim: 64, valueDim: 32, valueOrder: 'tiled' },
  { keyHeads: 3, valueHeads: 3, keyDim: 20, valueDim: 100, valueOrder: 'tiled' },
  { keyHeads: 1, valueHeads: 2, keyDim: 128, valueDim: 128, valueOrder: 'grouped' },
];

for (const shape of SHAPES) {
  kernelCase(`delta net of ${shape.valueHeads}/${shape.keyHeads} heads of ${shape.keyDim}/${shape.valueDim}, ${shape.valueOrder}`, async (t) => {
    await expectRecurrent(t, shape, [1, 1, 1]);
    await expectRecurrent(t, shape, [19, 1, 7]);
  });
}

kernelCase('delta net refuses shapes that it cannot serve', async (t) => {
  const buffer = t.output(64);
  const shape: Shape = { keyHeads: 2, valueHeads: 4, keyDim: 8, valueDim: 8, valueOrder: 'tiled' };
  const args = { label: 'd', ...shape, mixed: buffer, gate: { buffer, stride: 64, first: 32 }, rates: buffer, a: buffer, dt: buffer, norm: { weight: buffer, eps: EPS }, memory: buffer, out: buffer, batch: buffer };
  for (const request of [
    { ...args, valueHeads: 3 },
    { ...args, keyDim: 132 },
    { ...args, valueDim: 6 },
    { ...args, gate: { buffer, stride: 64, first: 33 } },
  ]) {
    const error = await deltaNet(t.context, request).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
  }
});

import { shortConv, type ShortConvArgs } from '../../src/mixers/short-conv.ts';
import { expectClose, kernelCase, type KernelTest } from '../harness/kernel-case.ts';

type Shape = Pick<ShortConvArgs, 'channels' | 'kernel' | 'kind'>;

const silu = (x: number): number => x / (1 + Math.exp(-x));

/** A sequence of passes over one state, against the convolution of the whole sequence from its definition. */
async function expectConvolved(t: KernelTest, { channels, kernel, kind }: Shape, passes: readonly number[]): Promise<void> {
  const tokens = passes.reduce((sum, count) => sum + count, 0);
  const stride = (kind === 'gates' ? 3 : 1) * channels + 5;
  const rows = t.randomNormal(tokens * stride);
  const weight = t.randomNormal(channels * kernel);
  const state = t.output((kernel - 1) * channels * 4);
  const weightBuffer = t.input(weight);
  const at = (token: number, i: number): number => rows[token * stride + i] ?? NaN;
  const input = (token: number, c: number): number => (token < 0 ? 0 : kind === 'gates' ? at(token, c) * at(token, 2 * channels + c) : at(token, c));

  let start = 0;
  for (const count of passes) {
    const out = t.output((count + 1) * channels * 4);
    const step = await shortConv(t.context, {
      label: 'short_conv',
      channels,
      kernel,
      kind,
      row: t.input(rows.slice(start * stride, (start + count) * stride)),
      stride,
      weight: weightBuffer,
      state,
      out,
      batch: t.input(Uint32Array.of(start, count)),
    });
    await t.run([step], { tokens: count, context: start + count });
    const expected = new Float64Array(count * channels);
    for (let token = 0; token < count; token++) {
      for (let c = 0; c < channels; c++) {
        let y = 0;
        for (let j = 0; j < kernel; j++) y += (weight[c * kernel + j] ?? NaN) * input(start + token + j + 1 - kernel, c);
        expected[token * channels + c] = kind === 'gates' ? y * at(start + token, channels + c) : silu(y);
      }
    }
    const actual = await t.readFloats(out, (count + 1) * channels);
    expectClose(`${count} at ${start}`, actual.subarray(0, expected.length), expected);
    if (!actual.subarray(expected.length).every(Number.isNaN)) throw new Error('wrote beyond the last token');
    start += count;
  }
}

const SHAPES: readonly Shape[] = [
  { channels: 1, kernel: 2, kind: 'silu' },
  { channels: 16, kernel: 3, kind: 'gates' },
  { channels: 100, kernel: 3, kind: 'gates' },
  { channels: 257, kernel: 4, kind: 'silu' },
  { channels: 33, kernel: 17, kind: 'silu' },
];

for (const shape of SHAPES) {
  kernelCase(`short convolution of ${shape.channels} channels over ${shape.kernel}, ${shape.kind}`, async (t) => {
    await expectConvolved(t, shape, [1, 1, 1, 1, 1]);
    await expectConvolved(t, shape, [40, 1, 2, 16, 1, 17]);
    await expectConvolved(t, shape, [2, 3, 1, 5]);
  });
}

kernelCase('short convolution forgets what was before position 0', async (t) => {
  const args = { label: 'c', channels: 4, kernel: 3, kind: 'silu', stride: 4, weight: t.input(new Float32Array(12).fill(1)), state: t.output(32) } as const;
  for (const _ of [0, 1]) {
    const out = t.output(16);
    const step = await shortConv(t.context, { ...args, row: t.input(Float32Array.of(1, 2, 3, 4)), out, batch: t.input(Uint32Array.of(0, 1)) });
    await t.run([step]);
    expectClose('first token', await t.readFloats(out, 4), [1, 2, 3, 4].map(silu));
  }
});

kernelCase('short convolution refuses shapes that it cannot serve', async (t) => {
  const buffer = t.output(64);
  const args = { label: 'c', channels: 4, kernel: 3, kind: 'gates', row: buffer, stride: 12, weight: buffer, state: buffer, out: buffer, batch: buffer } as const;
  for (const request of [{ ...args, kernel: 1 }, { ...args, kernel: 18 }, { ...args, stride: 8 }]) {
    const error = await shortConv(t.context, request).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
  }
});

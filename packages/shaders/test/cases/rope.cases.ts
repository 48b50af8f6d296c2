import type { CacheType } from '../../src/attention-shape.ts';
import { ropeTable, type RopeTableArgs } from '../../src/rope-table.ts';
import { ropeAndCache, type RopeAndCacheArgs } from '../../src/rope.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { halvesOf } from '../harness/half.ts';
import { inputsReference, inputsWidth, ROPE_BASE, type InputsCase } from '../reference/attention-inputs.ts';
import { yarnReference } from '../reference/rope.ts';

const POSITIONS = 64;
const HALF_NAN = 0x7e00;

async function expectRotated(t: KernelTest, shape: InputsCase, start: number, tokens: number, cacheType: CacheType = 'f32'): Promise<void> {
  const { heads, kvHeads, headDim, valueDim, beside = 0, qkNorm, rope, temperature, ...rest } = shape;
  const qWidth = heads * headDim;
  const kWidth = kvHeads * headDim;
  const vWidth = kvHeads * valueDim;
  const rowWidth = inputsWidth(shape);
  const qkv = t.randomNormal((tokens + 1) * rowWidth, 2);
  const eps = 1e-3;
  const norms = { q: t.randomNormal(qkNorm === 'full' ? qWidth : headDim), k: t.randomNormal(qkNorm === 'full' ? kWidth : headDim), eps };
  const q = t.output((tokens + 1) * qWidth * 4);
  const cache = (width: number) => (cacheType === 'f16' ? t.input(new Uint16Array(POSITIONS * width).fill(HALF_NAN)) : t.output(POSITIONS * width * 4));
  const [kCache, vCache] = [cache(kWidth), cache(vWidth)];
  const table = rope && t.input(ropeTable({ dims: rope.dims, base: ROPE_BASE, frequencyScale: 1, yarn: null, contextLength: POSITIONS }));
  const step = await ropeAndCache(t.context, {
    ...rest,
    label: 'rope',
    qkv: t.input(qkv),
    q,
    kCache,
    vCache,
    cacheType,
    batch: t.input(Uint32Array.of(start, tokens)),
    heads,
    kvHeads,
    headDim,
    valueDim,
    queryStride: headDim + beside,
    qkNorm,
    qkNormEps: eps,
    ...(temperature ? { temperature } : {}),
    ...(qkNorm === 'none' || qkNorm === 'unit' ? {} : { qNorm: t.input(norms.q), kNorm: t.input(norms.k) }),
    rope: rope && table && { ...rope, table },
  });
  // A token more than the batch has: nothing is written for it.
  await t.run([step], { tokens: tokens + 1, context: start + tokens + 1 });

  const expected = { q: new Float64Array((tokens + 1) * qWidth).fill(NaN), k: new Float64Array(POSITIONS * kWidth).fill(NaN), v: new Float64Array(POSITIONS * vWidth).fill(NaN) };
  for (let token = 0; token < tokens; token++) {
    const { q: queries, k, v } = inputsReference(qkv.subarray(token * rowWidth, (token + 1) * rowWidth), start + token, shape, norms);
    expected.q.set(queries, token * qWidth);
    expected.k.set(k, (start + token) * kWidth);
    expected.v.set(v, (start + token) * vWidth);
  }
  const cached = (binding: GPUBufferBinding, length: number) => (cacheType === 'f16' ? t.readBytes(binding, length * 2).then((held) => halvesOf(held, length)) : t.readFloats(binding, length));
  const relative = cacheType === 'f16' ? 2 ** -11 : 2e-6;
  expectWritten('q', await t.readFloats(q, expected.q.length), expected.q);
  expectWritten('keys', await cached(kCache, expected.k.length), expected.k, relative);
  expectWritten('values', await cached(vCache, expected.v.length), expected.v, relative);
}

/** `expected` is NaN where nothing may be written; outputs are poisoned with NaN. */
function expectWritten(label: string, actual: Float32Array, expected: Float64Array, relative = 2e-6): void {
  expectEqual(`${label}: unwritten`, Array.from(actual, (x) => Number(Number.isNaN(x))), Array.from(expected, (x) => Number(Number.isNaN(x))));
  const written = (_: number, i: number): boolean => !Number.isNaN(expected[i]);
  expectClose(label, actual.filter(written), expected.filter(written), { relative });
}

const SHAPES: Readonly<Record<string, InputsCase>> = {
  'neox': { heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, qkNorm: 'none', rope: { kind: 'neox', dims: 64 } },
  'norm': { heads: 4, kvHeads: 1, headDim: 64, valueDim: 64, qkNorm: 'none', rope: { kind: 'norm', dims: 64 } },
  'none, wide values': { heads: 3, kvHeads: 3, headDim: 12, valueDim: 20, qkNorm: 'none', rope: null },
  'neox, partial, norm per head': { heads: 8, kvHeads: 2, headDim: 80, valueDim: 80, qkNorm: 'per-head', rope: { kind: 'neox', dims: 20 } },
  'norm, partial, narrow values': { heads: 2, kvHeads: 2, headDim: 192, valueDim: 128, qkNorm: 'none', rope: { kind: 'norm', dims: 64 } },
  'neox, partial, norm per head, gates beside queries': { heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, beside: 64, qkNorm: 'per-head', rope: { kind: 'neox', dims: 16 } },
  'neox, norm per head': { heads: 6, kvHeads: 1, headDim: 128, valueDim: 128, qkNorm: 'per-head', rope: { kind: 'neox', dims: 128 } },
  'neox, norm over all heads': { heads: 16, kvHeads: 4, headDim: 128, valueDim: 128, qkNorm: 'full', rope: { kind: 'neox', dims: 128 } },
  'norm, norm over all heads': { heads: 1, kvHeads: 1, headDim: 8, valueDim: 8, qkNorm: 'full', rope: { kind: 'norm', dims: 8 } },
  'neox, norm last': { heads: 4, kvHeads: 2, headDim: 128, valueDim: 128, qkNorm: 'per-head', qkNormLast: true, rope: { kind: 'neox', dims: 128 } },
  'norm, partial, norm last without weights': { heads: 3, kvHeads: 1, headDim: 96, valueDim: 64, qkNorm: 'unit', qkNormLast: true, rope: { kind: 'norm', dims: 32 } },
  'norm without weights': { heads: 2, kvHeads: 2, headDim: 64, valueDim: 64, qkNorm: 'unit', rope: { kind: 'norm', dims: 64 } },
  'no rotation, temperature': { heads: 4, kvHeads: 2, headDim: 32, valueDim: 32, qkNorm: 'none', rope: null, temperature: { scale: 0.1, length: 5 } },
  'neox, values normed': { heads: 4, kvHeads: 2, headDim: 64, valueDim: 80, qkNorm: 'per-head', valueNorm: true, rope: { kind: 'neox', dims: 64 } },
  'neox, values are keys, normed': { heads: 8, kvHeads: 1, headDim: 512, valueDim: 512, qkNorm: 'per-head', valueNorm: true, valuesAreKeys: true, rope: { kind: 'neox', dims: 512 } },
  'no rotation, norm over all heads': { heads: 4, kvHeads: 2, headDim: 256, valueDim: 64, qkNorm: 'full', rope: null },
};

for (const [name, shape] of Object.entries(SHAPES)) {
  kernelCase(`rope ${name}`, async (t) => {
    for (const [start, tokens] of [[0, 1], [0, 7], [1, 1], [POSITIONS - 9, 8]] as const) await expectRotated(t, shape, start, tokens);
  });
}

/** Shapes with norms, rotations and none, into a cache of f16. */
for (const name of ['neox', 'norm, partial, narrow values', 'neox, norm over all heads', 'neox, values normed']) {
  const shape = SHAPES[name];
  if (shape) {
    kernelCase(`rope ${name}, cache of f16`, async (t) => {
      if (!t.device.features.has('shader-f16')) return;
      for (const [start, tokens] of [[0, 1], [1, 7]] as const) await expectRotated(t, shape, start, tokens, 'f16');
    });
  }
}

// Written out by hand from the two conventions: Hugging Face's q * cos + rotate_half(q) * sin, and (2i, 2i + 1) as complex numbers.
kernelCase('rope turns halves (neox) and neighbours (norm)', async (t) => {
  const [c, s] = [Math.cos(1), Math.sin(1)];
  const [c2, s2] = [Math.cos(0.01), Math.sin(0.01)];
  const expected = {
    neox: [1 * c - 3 * s, 2 * c2 - 4 * s2, 3 * c + 1 * s, 4 * c2 + 2 * s2],
    norm: [1 * c - 2 * s, 2 * c + 1 * s, 3 * c2 - 4 * s2, 4 * c2 + 3 * s2],
  };
  for (const kind of ['neox', 'norm'] as const) {
    const q = t.output(16);
    const keys = t.output(32);
    const step = await ropeAndCache(t.context, {
      label: 'rope',
      qkv: t.input(Float32Array.of(1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8)),
      q,
      kCache: keys,
      vCache: t.output(32),
      batch: t.input(Uint32Array.of(1, 1)),
      heads: 1,
      kvHeads: 1,
      headDim: 4,
      valueDim: 4,
      qkNorm: 'none',
      qkNormEps: 0,
      rope: { kind, dims: 4, table: t.input(ropeTable({ dims: 4, base: ROPE_BASE, frequencyScale: 1, yarn: null, contextLength: 2 })) },
    });
    await t.run([step]);
    expectClose(kind, await t.readFloats(q, 4), expected[kind]);
    expectClose(kind, (await t.readFloats(keys, 8)).subarray(4), expected[kind]);
  }
});

/** A table as (cos, sin) of position * frequency, times a factor. */
function expectTable(label: string, args: RopeTableArgs, frequencies: ArrayLike<number>, factor = 1): void {
  const expected = Array.from({ length: args.contextLength }, (_, position) =>
    Array.from(frequencies, (frequency) => [Math.cos(position * frequency) * factor, Math.sin(position * frequency) * factor]),
  ).flat(2);
  expectClose(label, ropeTable(args), expected, { relative: 1e-7, absolute: 1e-9 });
}

kernelCase('rope table: plain, linear scaling, frequency factors', async () => {
  const plain = Float64Array.from({ length: 32 }, (_, i) => 500_000 ** (-i / 32));
  const args = { dims: 64, base: 500_000, frequencyScale: 1, yarn: null, contextLength: 1000 };
  const factors = Float32Array.from({ length: 32 }, (_, i) => 1 + i / 4);
  expectTable('plain', args, plain);
  expectTable('linear', { ...args, frequencyScale: 0.25 }, plain.map((frequency) => frequency / 4));
  expectTable('factors', { ...args, frequencyFactors: factors }, plain.map((frequency, i) => frequency / (factors[i] ?? NaN)));
});

kernelCase('rope table: YaRN', async () => {
  const yarn = { factor: 8, originalContext: 64, extFactor: 1, attnFactor: 1, betaFast: 32, betaSlow: 1 };
  for (const [dims, base, originalContext] of [[64, 150_000, 64], [128, 1_000_000, 32_768], [64, 150_000, 4096], [32, 10_000, 4096]] as const) {
    const args = { dims, base, frequencyScale: 1, yarn: { ...yarn, originalContext }, contextLength: 300 };
    const { frequencies, factor } = yarnReference(args);
    expectTable(`${dims} of ${originalContext}`, args, frequencies, factor);
    expectTable('attention factor', { ...args, yarn: { ...args.yarn, attnFactor: 0.8 } }, frequencies, 0.8 * factor);
    const plain = Float64Array.from({ length: dims / 2 }, (_, i) => base ** ((-2 * i) / dims) / 8);
    expectTable('no extrapolation', { ...args, yarn: { ...args.yarn, extFactor: 0 } }, plain);
  }
});

kernelCase('rope refuses shapes that it cannot serve', async (t) => {
  const buffer = t.output(1024);
  const shape = { heads: 2, kvHeads: 1, headDim: 8, valueDim: 8, qkNorm: 'none', qkNormEps: 0, rope: null } as const;
  const args = { label: 'rope', qkv: buffer, q: buffer, kCache: buffer, vCache: buffer, batch: buffer, ...shape };
  const refused: readonly RopeAndCacheArgs[] = [
    { ...args, headDim: 6 },
    { ...args, heads: 3, kvHeads: 2 },
    { ...args, qkNorm: 'full' },
    { ...args, queryStride: 4 },
    { ...args, queryStride: 16, qkNorm: 'full', qNorm: buffer, kNorm: buffer },
    { ...args, qNorm: buffer, kNorm: buffer },
    { ...args, qkNorm: 'unit', qNorm: buffer, kNorm: buffer },
    { ...args, qkNorm: 'full', qNorm: buffer, kNorm: buffer, qkNormLast: true },
    { ...args, qkNorm: 'full', qNorm: buffer, kNorm: buffer, valueNorm: true },
    { ...args, valueDim: 16, valuesAreKeys: true },
    { ...args, rope: { kind: 'neox', dims: 10, table: buffer } },
    { ...args, rope: { kind: 'norm', dims: 3, table: buffer } },
  ];
  for (const request of refused) {
    const error = await ropeAndCache(t.context, request).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
  }
});

import { attentionDecode, attentionPartialBytes, preparesInputs } from '../../src/attention-decode.ts';
import { ropeTable } from '../../src/rope-table.ts';
import { halfBits, halvesOf } from '../harness/half.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { inputsReference, inputsWidth, ROPE_BASE, type InputsCase } from '../reference/attention-inputs.ts';
import { attentionReference } from '../reference/attention.ts';

interface Options {
  readonly half?: boolean;
  readonly window?: number;
  readonly sinks?: boolean;
}

/** One token's attention that makes queries, key and value itself: its output, and what it leaves in the caches. */
async function expectPrepared(t: KernelTest, shape: InputsCase, context: number, { half = false, window = 0, sinks = false }: Options = {}): Promise<void> {
  const { heads, kvHeads, headDim, valueDim, beside = 0, qkNorm, rope, temperature, ...rest } = shape;
  const position = context - 1;
  const positions = context + 3;
  const [kWidth, vWidth] = [kvHeads * headDim, kvHeads * valueDim];
  const held = (length: number) => (half ? halvesOf(halfBits(t.randomNormal(length)).buffer, length) : t.randomNormal(length));
  const [keys, values] = [held(positions * kWidth), held(positions * vWidth)];
  keys.fill(NaN, position * kWidth);
  values.fill(NaN, position * vWidth);
  const qkv = t.randomNormal(inputsWidth(shape));
  const eps = 1e-3;
  const norms = { q: t.randomNormal(qkNorm === 'full' ? heads * headDim : headDim), k: t.randomNormal(qkNorm === 'full' ? kWidth : headDim), eps };
  const options = { heads, kvHeads, headDim, valueDim, scale: 1 / Math.sqrt(headDim), window, softcap: 0 };
  const logits = t.randomNormal(heads, 3);
  const out = t.output(heads * valueDim * 4);
  const cache = (data: Float32Array<ArrayBuffer>) => t.input(half ? halfBits(data) : data);
  const [kCache, vCache] = [cache(keys), cache(values)];
  const steps = await attentionDecode(t.context, {
    label: 'attention',
    ...options,
    ...(sinks ? { sinks: t.input(logits) } : {}),
    q: {
      ...rest,
      qkv: t.input(qkv),
      queryStride: headDim + beside,
      qkNorm,
      qkNormEps: eps,
      ...(temperature ? { temperature } : {}),
      ...(qkNorm === 'none' || qkNorm === 'unit' ? {} : { qNorm: t.input(norms.q), kNorm: t.input(norms.k) }),
      rope: rope && { ...rope, table: t.input(ropeTable({ dims: rope.dims, base: ROPE_BASE, frequencyScale: 1, yarn: null, contextLength: positions })) },
    },
    kCache,
    vCache,
    cacheType: half ? 'f16' : 'f32',
    out,
    batch: t.input(Uint32Array.of(position, 1)),
    partial: t.output(attentionPartialBytes({ ...options, maxContext: positions })),
    maxContext: positions,
  });
  await t.run(steps, { tokens: 1, context });

  const { q, k, v } = inputsReference(qkv, position, shape, norms);
  const [allKeys, allValues] = [Float64Array.from(keys), Float64Array.from(values)];
  allKeys.set(k, position * kWidth);
  allValues.set(v, position * vWidth);
  const expected = attentionReference(q, allKeys, allValues, position, 1, { ...options, ...(sinks ? { sinks: logits } : {}) });
  expectClose(`context ${context}`, await t.readFloats(out, expected.length), expected, { relative: half ? 1e-3 : 1e-5 });
  for (const [label, binding, before, made, width] of [['keys', kCache, keys, k, kWidth], ['values', vCache, values, v, vWidth]] as const) {
    const after = half ? halvesOf(await t.readBytes(binding, before.length * 2), before.length) : await t.readFloats(binding, before.length);
    const own = [position * width, (position + 1) * width] as const;
    expectClose(`${label} stored at ${position}`, after.subarray(...own), made, { relative: half ? 2 ** -10 : 2e-6 });
    expectEqual(`${label} before it`, after.subarray(0, own[0]), before.subarray(0, own[0]));
    expectEqual(`${label} after it`, Array.from(after.subarray(own[1]), (x) => Number(Number.isNaN(x))), Array.from(before.subarray(own[1]), (x) => Number(Number.isNaN(x))));
  }
}

const SHAPES: Readonly<Record<string, InputsCase>> = {
  'neox': { heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, qkNorm: 'none', rope: { kind: 'neox', dims: 64 } },
  'norm, one key head': { heads: 4, kvHeads: 1, headDim: 64, valueDim: 64, qkNorm: 'none', rope: { kind: 'norm', dims: 64 } },
  'nothing, wide values': { heads: 3, kvHeads: 3, headDim: 12, valueDim: 20, qkNorm: 'none', rope: null },
  'eight heads a key head, normed each': { heads: 16, kvHeads: 2, headDim: 128, valueDim: 128, qkNorm: 'per-head', rope: { kind: 'neox', dims: 128 } },
  'seven heads a key head, partial': { heads: 7, kvHeads: 1, headDim: 80, valueDim: 80, qkNorm: 'per-head', rope: { kind: 'neox', dims: 20 } },
  'norm over all heads': { heads: 8, kvHeads: 4, headDim: 128, valueDim: 128, qkNorm: 'full', rope: { kind: 'neox', dims: 128 } },
  'one head of eight': { heads: 1, kvHeads: 1, headDim: 8, valueDim: 8, qkNorm: 'full', rope: { kind: 'norm', dims: 8 } },
  'norm last, gates beside queries': { heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, beside: 64, qkNorm: 'per-head', qkNormLast: true, rope: { kind: 'neox', dims: 64 } },
  'norm without weights, temperature': { heads: 2, kvHeads: 2, headDim: 64, valueDim: 64, qkNorm: 'unit', rope: { kind: 'norm', dims: 64 }, temperature: { scale: 0.1, length: 5 } },
  'values are keys': { heads: 4, kvHeads: 1, headDim: 256, valueDim: 256, qkNorm: 'per-head', valuesAreKeys: true, rope: { kind: 'neox', dims: 256 } },
};

for (const [name, shape] of Object.entries(SHAPES)) {
  kernelCase(`attention decode prepares its inputs: ${name}`, async (t) => {
    // Eight heads need subgroups.
    if (!preparesInputs(t.context, shape) && shape.heads / shape.kvHeads <= 4) throw new Error('not prepared');
    if (!preparesInputs(t.context, shape)) return;
    for (const context of [1, 33, 130]) await expectPrepared(t, shape, context);
    await expectPrepared(t, shape, 70, { window: 33, sinks: true });
    if (t.device.features.has('shader-f16')) await expectPrepared(t, shape, 45, { half: true });
  });
}

kernelCase('attention decode refuses to prepare more heads than it holds', async (t) => {
  const buffer = t.output(1 << 14);
  const q = { qkv: buffer, qkNorm: 'none', qkNormEps: 0, rope: null } as const;
  for (const shape of [{ heads: 9, kvHeads: 1, headDim: 8, valueDim: 8 }, { heads: 4, kvHeads: 1, headDim: 512, valueDim: 512 }]) {
    const attempt = attentionDecode(t.context, { label: 'attention', ...shape, q, kCache: buffer, vCache: buffer, out: buffer, batch: buffer, scale: 1, window: 0, softcap: 0, partial: buffer, maxContext: 1 });
    const error = await attempt.catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError' && error.message.includes('ropeAndCache'))) throw new Error(`not refused: ${String(error)}`);
  }
});

import { attentionDecode, attentionPartialBytes } from '../../src/attention-decode.ts';
import { attentionPrefill } from '../../src/attention-prefill.ts';
import type { AttentionShape } from '../../src/attention-shape.ts';
import { halfBits, halvesOf } from '../harness/half.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { attentionReference } from '../reference/attention.ts';

interface Options {
  readonly window?: number;
  readonly chunked?: boolean;
  readonly softcap?: number;
  readonly sinks?: boolean;
  /** Deviation of the scores; 1 is a typical layer's. */
  readonly spread?: number;
  /** Positions beyond those that `BatchSize` tells of: what a host that runs ahead may have. */
  readonly overshoot?: number;
  /** Values are the starts of their keys. */
  readonly latent?: boolean;
  /** The cache holds f16. */
  readonly half?: boolean;
}

const MHA: AttentionShape = { heads: 4, kvHeads: 4, headDim: 64, valueDim: 64 };
const GQA: AttentionShape = { heads: 8, kvHeads: 2, headDim: 128, valueDim: 128 };
const SMALL: AttentionShape = { heads: 4, kvHeads: 2, headDim: 16, valueDim: 16 };
/** 4 key/value heads and 256 splits at most: splits of 32 up to 8,192 positions. */
const SPLIT = 32;

function describe({ heads, kvHeads, headDim, valueDim }: AttentionShape): string {
  return `${heads}/${kvHeads} heads of ${headDim}${valueDim === headDim ? '' : `/${valueDim}`}`;
}

/** Random caches filled with NaN beyond the last token, so that a look too far shows. */
function randomInputs(t: KernelTest, shape: AttentionShape, start: number, tokens: number, { window = 0, chunked = false, softcap = 0, sinks = false, spread = 1, latent = false, half = false }: Options) {
  const { heads, kvHeads, headDim, valueDim } = shape;
  const positions = start + tokens + 3;
  const random = (length: number) => (half ? halvesOf(halfBits(t.randomNormal(length)).buffer, length) : t.randomNormal(length));
  const keys = random(positions * kvHeads * headDim);
  const values = latent
    ? Float32Array.from({ length: positions * kvHeads * valueDim }, (_, i) => keys[Math.floor(i / valueDim) * headDim + (i % valueDim)] ?? NaN)
    : random(positions * kvHeads * valueDim);
  keys.fill(NaN, (start + tokens) * kvHeads * headDim);
  values.fill(NaN, (start + tokens) * kvHeads * valueDim);
  const q = t.randomNormal(tokens * heads * headDim, spread);
  const options = { ...shape, scale: 1 / Math.sqrt(headDim), window, chunked, softcap, ...(sinks ? { sinks: t.randomNormal(heads, 3) } : {}) };
  return { q, keys, values, options, positions, expected: attentionReference(q, keys, values, start, tokens, options) };
}

async function expectAttention(t: KernelTest, mode: 'decode' | 'prefill', shape: AttentionShape, start: number, tokens: number, options: Options = {}): Promise<void> {
  const inputs = randomInputs(t, shape, start, tokens, options);
  const { q, keys, values, positions, expected } = inputs;
  const { sinks, ...rest } = inputs.options;
  // A token more than there are, which must stay as it is.
  const width = shape.heads * shape.valueDim;
  const out = t.output((tokens + 1) * width * 4);
  const args = {
    label: 'attention',
    q: t.input(q),
    kCache: t.input(options.half ? halfBits(keys) : keys),
    ...(options.latent ? {} : { vCache: t.input(options.half ? halfBits(values) : values) }),
    cacheType: options.half ? ('f16' as const) : ('f32' as const),
    out,
    batch: t.input(Uint32Array.of(start, tokens)),
    ...rest,
    ...(sinks ? { sinks: t.input(sinks) } : {}),
  };
  const steps =
    mode === 'decode'
      ? await attentionDecode(t.context, { ...args, partial: t.output(attentionPartialBytes({ ...shape, maxContext: positions })), maxContext: positions })
      : [await attentionPrefill(t.context, args)];
  const over = options.overshoot ?? 0;
  await t.run(steps, { tokens: mode === 'decode' ? 1 : tokens + over, context: start + tokens + over });
  const held = await t.readFloats(out, (tokens + 1) * width);
  const relative = 2e-6 * Math.max(5, options.spread ?? 1);
  expectClose(`${tokens} at ${start}`, held.subarray(0, expected.length), expected, { relative });
  if (!held.subarray(expected.length).every(Number.isNaN)) throw new Error('wrote beyond the last token');
}

const SHAPES: readonly AttentionShape[] = [
  MHA,
  GQA,
  { heads: 1, kvHeads: 1, headDim: 8, valueDim: 8 },
  { heads: 6, kvHeads: 2, headDim: 80, valueDim: 80 },
  { heads: 8, kvHeads: 1, headDim: 96, valueDim: 96 },
  { heads: 4, kvHeads: 2, headDim: 192, valueDim: 128 },
  { heads: 8, kvHeads: 1, headDim: 256, valueDim: 256 },
  // More query heads than a workgroup takes, in uneven blocks.
  { heads: 22, kvHeads: 2, headDim: 32, valueDim: 40 },
];

for (const shape of SHAPES) {
  kernelCase(`attention decode ${describe(shape)}`, async (t) => {
    for (const context of [1, 2, 31, 45, 130]) await expectAttention(t, 'decode', shape, context - 1, 1);
  });
  kernelCase(`attention prefill ${describe(shape)}`, async (t) => {
    for (const [start, tokens] of [[0, 1], [0, 7], [0, 33], [13, 32], [40, 9]] as const) await expectAttention(t, 'prefill', shape, start, tokens);
  });
}

for (const mode of ['decode', 'prefill'] as const) {
  kernelCase(`attention ${mode} over a cache of f16`, async (t) => {
    if (!t.device.features.has('shader-f16')) return;
    for (const shape of [MHA, GQA, SMALL]) await expectAttention(t, mode, shape, 76, mode === 'decode' ? 1 : 33, { half: true });
  });
}

const LATENT: readonly AttentionShape[] = [
  { heads: 4, kvHeads: 1, headDim: 96, valueDim: 64 },
  { heads: 16, kvHeads: 1, headDim: 576, valueDim: 512 },
];

for (const shape of LATENT) {
  kernelCase(`attention over latent values, ${describe(shape)}`, async (t) => {
    for (const context of [1, 33]) await expectAttention(t, 'decode', shape, context - 1, 1, { latent: true });
    for (const [start, tokens] of [[0, 1], [13, 34]] as const) await expectAttention(t, 'prefill', shape, start, tokens, { latent: true });
  });
}

kernelCase('attention decode around splits', async (t) => {
  for (const splits of [1, 2, 8, 9, 16, 17]) {
    for (const extra of [-1, 0, 1]) await expectAttention(t, 'decode', MHA, splits * SPLIT + extra - 1, 1);
  }
});

kernelCase('attention decode over the most splits and longer ones', async (t) => {
  const shape = { heads: 2, kvHeads: 1, headDim: 8, valueDim: 8 };
  for (const context of [256 * SPLIT - 1, 256 * SPLIT, 256 * SPLIT + 1, 300 * SPLIT + 5, 512 * SPLIT + 1]) {
    await expectAttention(t, 'decode', shape, context - 1, 1);
  }
});

kernelCase('attention decode over 128k positions', async (t) => {
  await expectAttention(t, 'decode', { heads: 2, kvHeads: 1, headDim: 8, valueDim: 8 }, 131_071, 1);
});

kernelCase('attention decode with a window', async (t) => {
  for (const [context, window] of [[1, 1], [40, 1], [31, 32], [32, 32], [33, 32], [100, 33], [100, 99], [100, 101], [300, 64]] as const) {
    await expectAttention(t, 'decode', SMALL, context - 1, 1, { window });
  }
});

kernelCase('attention decode in chunks', async (t) => {
  for (const [context, window] of [[1, 1], [40, 1], [31, 32], [32, 32], [33, 32], [99, 33], [100, 33], [300, 64]] as const) {
    await expectAttention(t, 'decode', SMALL, context - 1, 1, { window, chunked: true });
  }
});

kernelCase('attention decode told of a longer context', async (t) => {
  for (const overshoot of [1, 32, 100]) await expectAttention(t, 'decode', MHA, 40, 1, { overshoot });
});

kernelCase('attention prefill around tiles', async (t) => {
  for (const start of [0, 1, 31, 32, 33]) {
    for (const tokens of [31, 32, 33, 64, 65]) await expectAttention(t, 'prefill', MHA, start, tokens);
  }
});

kernelCase('attention prefill with a window', async (t) => {
  for (const window of [1, 2, 31, 32, 33, 64, 200]) {
    for (const [start, tokens] of [[0, 70], [50, 40]] as const) await expectAttention(t, 'prefill', SMALL, start, tokens, { window });
  }
});

kernelCase('attention prefill in chunks', async (t) => {
  for (const window of [1, 2, 31, 32, 33, 64, 200]) {
    for (const [start, tokens] of [[0, 70], [50, 40]] as const) await expectAttention(t, 'prefill', SMALL, start, tokens, { window, chunked: true });
  }
});

kernelCase('attention prefill told of more tokens', async (t) => {
  for (const overshoot of [1, 31, 100]) await expectAttention(t, 'prefill', MHA, 5, 33, { overshoot });
});

for (const mode of ['decode', 'prefill'] as const) {
  const at = (context: number): readonly [number, number] => (mode === 'decode' ? [context - 1, 1] : [Math.floor(context / 3), context - Math.floor(context / 3)]);

  kernelCase(`attention ${mode} with soft-cap and sinks`, async (t) => {
    for (const context of [1, 33, 100]) {
      await expectAttention(t, mode, GQA, ...at(context), { softcap: 5, spread: 10 });
      await expectAttention(t, mode, GQA, ...at(context), { sinks: true });
      await expectAttention(t, mode, MHA, ...at(context), { sinks: true, softcap: 20, window: 20 });
    }
  });

  // Scores so far apart that one position takes all, their differences beyond what exp() or even f32 can hold.
  kernelCase(`attention ${mode} survives extreme scores`, async (t) => {
    const shape = { heads: 2, kvHeads: 1, headDim: 8, valueDim: 8 };
    for (const size of [1e2, 1e4, 1e20, 2e38]) {
      for (const softcap of [0, 30]) {
        const [start, tokens] = at(75);
        const { q, keys, values, positions } = randomInputs(t, shape, start, tokens, {});
        // Keys and queries along the first axis: scores rise or fall with the position, the other head's the other way.
        for (let i = 0; i < q.length; i++) q[i] = i % 8 === 0 ? (i % 16 === 0 ? 1 : -1) : 0;
        for (let p = 0; p < positions; p++) keys.fill(0, p * 8, p * 8 + 8).fill((size * (p - 37)) / 75, p * 8, p * 8 + 1);
        const options = { ...shape, scale: 1, window: 0, softcap };
        const out = t.output(tokens * 16 * 4);
        const args = { label: 'attention', q: t.input(q), kCache: t.input(keys), vCache: t.input(values), out, batch: t.input(Uint32Array.of(start, tokens)), ...options };
        const partial = t.output(attentionPartialBytes({ ...shape, maxContext: positions }));
        const steps = mode === 'decode' ? await attentionDecode(t.context, { ...args, partial, maxContext: positions }) : [await attentionPrefill(t.context, args)];
        await t.run(steps, { tokens, context: start + tokens });
        const expected = attentionReference(q, keys, values, start, tokens, options);
        expectClose(`scores up to ${size}, soft-cap ${softcap}`, await t.readFloats(out, expected.length), expected, { relative: 1e-4 });
      }
    }
  });
}

kernelCase('attention of equal scores is the mean', async (t) => {
  const shape = { heads: 2, kvHeads: 2, headDim: 8, valueDim: 4 };
  const values = Float32Array.from({ length: 64 * 8 }, (_, i) => Math.floor(i / 8));
  const out = t.output(8 * 4);
  const partial = t.output(attentionPartialBytes({ ...shape, maxContext: 64 }));
  const args = { label: 'attention', ...shape, scale: 1, window: 0, softcap: 0, maxContext: 64, partial, out, batch: t.input(Uint32Array.of(62, 1)) };
  const steps = await attentionDecode(t.context, { ...args, q: t.input(new Float32Array(16)), kCache: t.input(t.randomNormal(64 * 16)), vCache: t.input(values) });
  await t.run(steps, { tokens: 1, context: 63 });
  expectEqual('out', await t.readFloats(out, 8), new Float32Array(8).fill(31));
});

kernelCase('attention refuses shapes that it cannot serve', async (t) => {
  const buffer = t.output(4096);
  const common = { label: 'attention', q: buffer, kCache: buffer, vCache: buffer, out: buffer, batch: buffer, scale: 1, window: 0, softcap: 0 };
  const refused: readonly AttentionShape[] = [
    { ...MHA, heads: 5 },
    { ...MHA, kvHeads: 0 },
    { ...MHA, headDim: 66 },
    { ...MHA, valueDim: 0 },
    { ...MHA, valueDim: 516 },
  ];
  for (const shape of refused) {
    for (const attempt of [attentionDecode(t.context, { ...common, ...shape, partial: buffer, maxContext: 1 }), attentionPrefill(t.context, { ...common, ...shape })]) {
      const error = await attempt.catch((caught: unknown) => caught);
      if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error(`not refused: ${JSON.stringify(shape)}`);
    }
  }
  const error = await attentionDecode(t.context, { ...common, ...MHA, partial: buffer, maxContext: 10_000 }).catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.message.includes('attentionPartialBytes'))) throw new Error(`too small a scratch was not refused: ${String(error)}`);
});

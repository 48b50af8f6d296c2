import { attentionDecode, attentionPartialBytes } from '../../src/attention-decode.ts';
import type { AttentionShape, CacheType } from '../../src/attention-shape.ts';
import { attentionRows, attentionRowsBytes } from '../../src/few/attention-rows.ts';
import { MOST_FEW } from '../../src/gemm.ts';
import { ropeAndCache, type AttentionInputs } from '../../src/rope.ts';
import { halfBits } from '../harness/half.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';

interface Options {
  readonly window?: number;
  readonly chunked?: boolean;
  readonly softcap?: number;
  readonly sinks?: boolean;
  readonly cacheType?: CacheType;
  readonly norm?: AttentionInputs['qkNorm'];
  readonly rope?: 'norm' | 'neox';
  /** Positions of each row's token; undefined where nobody has the row. */
  readonly starts?: readonly (number | undefined)[];
}

const MAX_CONTEXT = 700;
const STARTS = [0, 31, undefined, 699, 1, 100];

/** Each row's output and cache are those that its token gets alone. */
async function expectRows(t: KernelTest, shape: AttentionShape, { window = 0, chunked = false, softcap = 0, sinks = false, cacheType = 'f32', norm = 'none', rope, starts = STARTS }: Options): Promise<void> {
  const { heads, kvHeads, headDim, valueDim } = shape;
  const width = (heads + kvHeads) * headDim + kvHeads * valueDim;
  const halved = cacheType === 'f16';
  const bytes = halved ? 2 : 4;
  const keys = MAX_CONTEXT * kvHeads * headDim;
  const values = MAX_CONTEXT * kvHeads * valueDim;
  const valuesOffset = Math.ceil((keys * bytes) / 256) * 256;
  const qkv = t.randomNormal(MOST_FEW * width);
  const dims = Math.floor(headDim / 4) * 2;
  const weighted = norm === 'full' || norm === 'per-head';
  const normed = (count: number) => t.input(t.randomNormal(norm === 'full' ? count * headDim : headDim).map((weight) => 1 + weight / 4));
  const common: Omit<AttentionInputs, 'qkv'> = {
    qkNorm: norm,
    qkNormEps: 1e-6,
    ...(weighted ? { qNorm: normed(heads), kNorm: normed(kvHeads) } : {}),
    rope: rope ? { kind: rope, dims, table: t.input(t.randomNormal(MAX_CONTEXT * dims)) } : null,
  };
  const attention = { ...shape, cacheType, scale: 1 / Math.sqrt(headDim), window, chunked, softcap, ...(sinks ? { sinks: t.input(t.randomNormal(heads, 3)) } : {}) };
  const random = (length: number) => t.randomNormal(length);
  const cache = () => {
    const held = new Float32Array(valuesOffset / bytes + values);
    held.set(random(keys));
    held.set(random(values), valuesOffset / bytes);
    return halved ? halfBits(held) : held;
  };
  const inRange = (binding: GPUBufferBinding) => ({ kCache: { ...binding, size: Math.ceil((keys * bytes) / 16) * 16 }, vCache: { ...binding, offset: valuesOffset } });

  const expected: (Float32Array | undefined)[] = [];
  const alone: (GPUBufferBinding | undefined)[] = [];
  const together: (GPUBufferBinding | undefined)[] = [];
  for (const [row, start] of starts.entries()) {
    if (start === undefined) continue;
    const held = cache();
    const own = (alone[row] = t.input(held));
    together[row] = t.input(held);
    const batch = t.input(Uint32Array.of(start, 1));
    const q = t.output(heads * headDim * 4);
    const out = t.output(heads * valueDim * 4);
    const partial = t.output(attentionPartialBytes({ ...shape, maxContext: MAX_CONTEXT }));
    const inputs = { ...common, qkv: t.input(qkv.slice(row * width, (row + 1) * width)) };
    const decode = { label: 'attention', ...attention, ...inRange(own), out, batch, partial, maxContext: MAX_CONTEXT };
    // What is read back from a cache of f16 is rounded, and a token's own key and value are not.
    const steps = halved
      ? await attentionDecode(t.context, { ...decode, q: inputs })
      : [await ropeAndCache(t.context, { label: 'rope', ...shape, ...inputs, q, ...inRange(own), batch }), ...(await attentionDecode(t.context, { ...decode, q }))];
    await t.run(steps, { tokens: 1, context: start + 1 });
    expected[row] = await t.readFloats(out, heads * valueDim);
  }

  const scratch = attentionRowsBytes(shape, MAX_CONTEXT);
  const out = t.output(MOST_FEW * heads * valueDim * 4);
  const rows = new Uint32Array(MOST_FEW * 4);
  for (const [row, start] of starts.entries()) rows.set([start ?? 5, start === undefined ? 0 : 1], row * 4);
  const steps = await attentionRows(t.context, {
    label: 'attention',
    ...attention,
    inputs: { ...common, qkv: t.input(qkv) },
    rows: t.input(rows),
    out,
    maxContext: MAX_CONTEXT,
    valuesOffset,
    ready: t.output(scratch.ready).buffer,
    partial: t.output(scratch.partial).buffer,
    vacant: t.output(MOST_FEW * 256).buffer,
  });
  await t.run(steps(together), { tokens: starts.length, context: Math.max(...starts.map((start) => (start ?? 0) + 1)) });
  const got = await t.readFloats(out, MOST_FEW * heads * valueDim);
  for (let row = 0; row < MOST_FEW; row++) {
    const part = got.subarray(row * heads * valueDim, (row + 1) * heads * valueDim);
    const want = expected[row];
    const [own, shared] = [alone[row], together[row]];
    if (!want || !own || !shared) {
      if (!part.every(Number.isNaN)) throw new Error(`row ${row} was written`);
      continue;
    }
    expectClose(`row ${row}`, part, want, { relative: 2e-5 });
    expectEqual(`cache of row ${row}`, new Uint16Array(await t.readBytes(shared)), new Uint16Array(await t.readBytes(own)));
  }
}

// Few, since software adapters take seconds to compile one.
const SHAPES: readonly AttentionShape[] = [
  { heads: 6, kvHeads: 2, headDim: 80, valueDim: 40 },
  // More query heads than a workgroup takes, in uneven blocks.
  { heads: 22, kvHeads: 2, headDim: 32, valueDim: 40 },
];

for (const shape of SHAPES) {
  kernelCase(`attention of several sessions, ${shape.heads}/${shape.kvHeads} heads of ${shape.headDim}`, (t) => expectRows(t, shape, { norm: 'per-head', rope: 'neox' }));
}

const GQA: AttentionShape = { heads: 4, kvHeads: 2, headDim: 16, valueDim: 16 };
const VARIANTS: Readonly<Record<string, Options>> = {
  'no norm, no rotation, one session in the last row': { starts: [undefined, undefined, undefined, undefined, undefined, undefined, undefined, 40] },
  'all rows, norm over all heads': { norm: 'full', rope: 'norm', starts: [1, 2, 33, 64, 65, 5, 0, 500] },
  'windows and sinks': { window: 33, sinks: true, rope: 'neox' },
  'chunks and soft-cap': { window: 64, chunked: true, softcap: 5, norm: 'unit' },
};

for (const [name, options] of Object.entries(VARIANTS)) {
  kernelCase(`attention of several sessions, ${name}`, (t) => expectRows(t, GQA, options));
}

kernelCase('attention of several sessions over caches of f16', async (t) => {
  if (!t.device.features.has('shader-f16')) return;
  await expectRows(t, GQA, { cacheType: 'f16', norm: 'per-head', rope: 'neox' });
});

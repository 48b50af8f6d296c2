import { embed } from '../../src/embed.ts';
import { MOST_FEW } from '../../src/gemm.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { randomStack, type RandomStack } from '../reference/linear.ts';

const Q8_0 = 8;
const Q6_K = 14;

/** Rows of a table of which only [firstRow, firstRow + rows) exists, times `scale`; what other tokens' rows hold stays. */
function expectedRows({ values, rows, cols }: RandomStack, ids: ArrayLike<number>, firstRow: number, scale: number, before: Float32Array): Float64Array {
  return Float64Array.from(before, (held, at) => {
    const row = (ids[Math.floor(at / cols)] ?? NaN) - firstRow;
    return row >= 0 && row < rows ? scale * (values[row * cols + (at % cols)] ?? NaN) : held;
  });
}

async function expectLookUp(t: KernelTest, table: RandomStack, tokens: number, firstRow: number): Promise<void> {
  const ids = Uint32Array.from({ length: tokens }, () => t.randomInt(table.rows + 2 * firstRow));
  const before = t.randomNormal((tokens + 1) * table.cols);
  const out = t.input(before);
  const batch = t.input(Uint32Array.of(3, tokens));
  const step = await embed(t.context, { label: 'embed', tokens: { ids: t.input(ids), batch }, table: table.weights, firstRow, out, scale: 1.5, maxTokens: 128 });
  // More workgroups than tokens, as when the counts come from a larger pass.
  await t.run([step], { tokens: tokens + 1, context: 4 + tokens });
  const expected = expectedRows(table, ids, firstRow, 1.5, before.subarray(0, tokens * table.cols));
  expectClose('out', await t.readFloats(out, before.length), [...expected, ...before.subarray(tokens * table.cols)]);
}

for (const cols of [32, 2016, 2048, 2080]) {
  for (const firstRow of [0, 17]) {
    kernelCase(`embed rows of ${cols} from ${firstRow}`, async (t) => {
      const table = randomStack(t, [{ type: Q8_0, rows: 33 }], cols);
      for (const tokens of [1, 7, 65]) await expectLookUp(t, table, tokens, firstRow);
    });
  }
}

kernelCase('embed notes the positions of tokens', async (t) => {
  const table = randomStack(t, [{ type: Q6_K, rows: 10 }], 256);
  const ids = Uint32Array.of(4, 9, 4, 0, 15, 12);
  const seen = t.input(Uint32Array.from({ length: 16 }, (_, id) => (id === 0 ? 1000 : 0)));
  const batch = t.input(Uint32Array.of(100, 5));
  const args = { label: 'embed', tokens: { ids: t.input(ids), batch }, table: table.weights, firstRow: 0, out: t.output(6 * 1024), scale: 1, seen, maxTokens: 6 };
  await t.run([await embed(t.context, args)], { tokens: 6, context: 105 });
  const expected = new Uint32Array(16);
  expected.set([1000], 0);
  expected.set([103], 4);
  expected.set([102], 9);
  expected.set([105], 15);
  expectEqual('seen', await t.readInts(seen, 16), expected);
});

kernelCase('embed the tokens of several sessions', async (t) => {
  const table = randomStack(t, [{ type: Q8_0, rows: 16 }], 64);
  const rows = [[7, 1, 3, 0], [900, 1, 15, 0], [50, 0, 4, 0], [0, 1, 3, 0]];
  const before = t.randomNormal(rows.length * table.cols);
  const out = t.input(before);
  const seen = t.input(new Uint32Array(rows.length * 16));
  const tokens = { rows: t.input(Uint32Array.from({ length: MOST_FEW * 4 }, (_, i) => rows[Math.floor(i / 4)]?.[i % 4] ?? 0)), vocab: 16 };
  await t.run([await embed(t.context, { label: 'embed', tokens, table: table.weights, firstRow: 0, out, scale: 1, seen, maxTokens: MOST_FEW })], { tokens: rows.length, context: 1 });
  const ids = rows.map(([, there, id = NaN]) => (there === 1 ? id : NaN));
  expectClose('out', await t.readFloats(out, before.length), expectedRows(table, ids, 0, 1, before));
  const expected = new Uint32Array(rows.length * 16);
  for (const [row, [position = 0, there, id = 0]] of rows.entries()) if (there === 1) expected[row * 16 + id] = position + 1;
  expectEqual('seen', await t.readInts(seen, expected.length), expected);
});

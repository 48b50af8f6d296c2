import { MOST_FEW } from '../../src/gemm.ts';
import { addPositions } from '../../src/rare/add-positions.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';
import { randomStack } from '../reference/linear.ts';

const F32 = 0;
const Q8_0 = 8;

for (const cols of [32, 2016, 2048, 2080]) {
  for (const [type, start] of [[F32, 0], [Q8_0, 5]] as const) {
    kernelCase(`add-positions to rows of ${cols} from position ${start}`, async (t) => {
      for (const tokens of [1, 7]) {
        const table = randomStack(t, [{ type, rows: start + tokens }], cols);
        const before = t.randomNormal((tokens + 1) * cols);
        const x = t.input(before);
        const step = await addPositions(t.context, { label: 'positions', x, table: table.weights, batch: t.input(Uint32Array.of(start, tokens)) });
        // More workgroups than tokens, as when the counts come from a larger pass.
        await t.run([step], { tokens: tokens + 1, context: start + tokens });
        const expected = Array.from(before, (value, at) => value + (at < tokens * cols ? (table.values[start * cols + at] ?? NaN) : 0));
        expectClose('x', await t.readFloats(x, before.length), expected);
      }
    });
  }
}

kernelCase('add-positions to the tokens of several sessions', async (t) => {
  const [cols, tokens] = [64, 3];
  const positions = [4, 0, 9];
  const table = randomStack(t, [{ type: F32, rows: 10 }], cols);
  const before = t.randomNormal(tokens * cols);
  const x = t.input(before);
  // The second row is nobody's.
  const rows = Uint32Array.from({ length: MOST_FEW * 4 }, (_, i) => (i % 4 === 0 ? (positions[i / 4] ?? 0) : Number(i % 4 === 1 && i !== 5)));
  await t.run([await addPositions(t.context, { label: 'positions', x, table: table.weights, batch: t.input(rows), byRow: true })], { tokens, context: 1 });
  const expected = Array.from(before, (value, at) => {
    const row = Math.floor(at / cols);
    return value + (row === 1 ? 0 : (table.values[(positions[row] ?? NaN) * cols + (at % cols)] ?? NaN));
  });
  expectClose('x', await t.readFloats(x, before.length), expected);
});

kernelCase('add-positions refuses two tables', async (t) => {
  const { weights } = randomStack(t, [{ type: F32, rows: 2 }, { type: F32, rows: 2 }], 32);
  const some = t.input(new Float32Array(64));
  const error = await addPositions(t.context, { label: 'positions', x: some, table: weights, batch: some }).catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
});

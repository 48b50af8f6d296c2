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

kernelCase('add-positions refuses two tables', async (t) => {
  const { weights } = randomStack(t, [{ type: F32, rows: 2 }, { type: F32, rows: 2 }], 32);
  const some = t.input(new Float32Array(64));
  const error = await addPositions(t.context, { label: 'positions', x: some, table: weights, batch: some }).catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
});

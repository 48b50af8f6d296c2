import { stackRows } from '../../src/few/stack-rows.ts';
import { MOST_FEW } from '../../src/gemm.ts';
import { expectEqual, kernelCase } from '../harness/kernel-case.ts';

for (const width of [4, 252, 256, 260]) {
  kernelCase(`stack-rows of ${width} for few tokens`, async (t) => {
    for (const tokens of [1, 4, 5, MOST_FEW]) {
      const rows = Array.from({ length: MOST_FEW }, () => t.randomNormal(width));
      // A row more than there are tokens, which must stay as it is.
      const out = t.output((MOST_FEW + 1) * width * 4);
      const batch = t.input(Uint32Array.of(3, tokens));
      await t.run(await stackRows(t.context, { label: 'stack_rows', rows: rows.map((row) => t.input(row)), batch, out, width }), { tokens, context: 1 });
      const held = await t.readFloats(out, (MOST_FEW + 1) * width);
      expectEqual('rows', held.subarray(0, tokens * width), rows.slice(0, tokens).flatMap((row) => [...row]));
      if (!held.subarray(tokens * width).every(Number.isNaN)) throw new Error('rows beyond the batch were written');
    }
  });
}

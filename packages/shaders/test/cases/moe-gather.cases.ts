import { moeGather } from '../../src/moe-gather.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';
import { gatherReference } from '../reference/moe.ts';

for (const [width, topK] of [[32, 1], [252, 3], [256, 8], [260, 2], [2048, 32]] as const) {
  kernelCase(`moe-gather width ${width}, k ${topK}`, async (t) => {
    for (const tokens of [1, 7]) {
      const y = t.randomNormal(tokens * topK * width);
      const weights = t.randomNormal(tokens * topK);
      const residual = t.randomNormal(tokens * width);
      const out = t.input(residual);
      const scaled = t.output(tokens * width * 4);
      const step = await moeGather(t.context, { label: 'moe_gather', y: t.input(y), weights: t.input(weights), out, width, topK });
      const overwrite = await moeGather(t.context, { label: 'scaled', y: t.input(y), weights: t.input(weights), out: scaled, width, topK, scale: 0.22, residual: false });
      await t.run([step, overwrite], { tokens, context: tokens });
      expectClose('out', await t.readFloats(out, tokens * width), gatherReference(residual, y, weights, width, topK));
      const sums = gatherReference(new Float64Array(tokens * width), y, weights, width, topK);
      expectClose('scaled', await t.readFloats(scaled, tokens * width), sums.map((sum) => 0.22 * sum));
    }
  });
}

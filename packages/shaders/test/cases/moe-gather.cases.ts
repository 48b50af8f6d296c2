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
      const step = await moeGather(t.context, { label: 'moe_gather', y: t.input(y), weights: t.input(weights), out, width, topK });
      await t.run([step], { tokens, context: tokens });
      expectClose('out', await t.readFloats(out, tokens * width), gatherReference(residual, y, weights, width, topK));
    }
  });
}

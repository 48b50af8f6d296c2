import { sparseMixer } from '../../src/rare/sparse-mixer.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';

// Logits are multiples of 1/64, whose distances this never meets exactly.
const CLOSE = 0.0213;

/** Weights of the experts of largest logits, as the paper has it: each chosen one is taken out before the next. */
function reference(logits: readonly number[], ids: readonly number[]): number[] {
  const left = new Set(logits.keys());
  return ids.map((id) => {
    const best = logits[id] ?? NaN;
    const near = [...left].map((expert) => logits[expert] ?? NaN).filter((value) => (best - value) / Math.max(Math.abs(value), best) <= CLOSE || value === best);
    left.delete(id);
    return 1 / near.reduce((sum, value) => sum + Math.exp(value - best), 0);
  });
}

for (const [experts, topK] of [[1, 1], [2, 2], [16, 2], [33, 32]] as const) {
  // Logits far apart, in a narrow band so that many are close, and all below 0.
  for (const [spread, around] of [[3, 0], [0.03, 1], [0.03, -1]] as const) {
    kernelCase(`sparse-mixer of ${topK} of ${experts} experts, logits ${around} +- ${spread}`, async (t) => {
      for (const tokens of [1, 65]) {
        const rows = Array.from({ length: tokens }, () => Array.from(t.randomNormal(experts, spread), (value) => around + Math.round(value * 64) / 64));
        const ids = rows.map((row) => [...row.keys()].sort((a, b) => (row[b] ?? NaN) - (row[a] ?? NaN)).slice(0, topK));
        const weights = t.output(tokens * topK * 4);
        const step = await sparseMixer(t.context, { label: 'mixer', logits: t.input(Float32Array.from(rows.flat())), ids: t.input(Uint32Array.from(ids.flat())), weights, experts, topK, close: CLOSE });
        await t.run([step], { tokens, context: tokens });
        expectClose('weights', await t.readFloats(weights, tokens * topK), rows.flatMap((row, token) => reference(row, ids[token] ?? [])));
      }
    });
  }
}

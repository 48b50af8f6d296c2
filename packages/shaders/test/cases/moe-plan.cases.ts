import { TILE_ROWS } from '../../src/gemm-tile.ts';
import { moePlan, moePlanBytes, moePlanLayout } from '../../src/moe-plan.ts';
import type { ExpertPool } from '../../src/planar.ts';
import { expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { randomIds } from '../reference/moe.ts';

const Q4_0 = 2;
/** Experts of which the plan wants to know no more than their shapes. */
const poolOf = (...rows: readonly number[]): ExpertPool => ({
  pages: [],
  slotsPerPage: 1,
  slotWords: 0,
  matrices: rows.map((outputs) => ({ type: Q4_0, rows: outputs, cols: 32, baseWord: 0 })),
});
const POOLS = { gateUp: poolOf(160, 160), down: poolOf(200) };

/** Plans a pass and compares every table with one made by sorting on the host. */
async function checkPlan(t: KernelTest, ids: Uint32Array<ArrayBuffer>, experts: number, topK: number, maxTokens: number): Promise<void> {
  const tokens = ids.length / topK;
  const shape = { experts, topK, maxTokens };
  const plan = t.output(moePlanBytes(shape));
  const batch = t.input(Uint32Array.of(5, tokens, 0, 0));
  const steps = await moePlan(t.context, { label: 'moe_plan', ids: t.input(ids), batch, plan: plan.buffer, ...shape, ...POOLS });
  await t.run(steps, { tokens, context: tokens });
  const { firstRange, firstRow, words } = moePlanLayout(shape);
  const got = await t.readInts(plan, words);

  const rows = [...ids.keys()].sort((a, b) => (ids[a] ?? 0) - (ids[b] ?? 0) || a - b);
  expectEqual('rows', got.subarray(firstRow, firstRow + rows.length), rows);
  const tiles: number[] = [];
  const ranges: number[] = [];
  for (let expert = 0, first = 0; expert < experts; expert++) {
    const count = rows.filter((row) => ids[row] === expert).length;
    ranges.push(first, count);
    for (let done = 0; done < count; done += TILE_ROWS) {
      tiles.push(expert, first + done, Math.min(TILE_ROWS, count - done), firstRow + first + done);
    }
    first += count;
  }
  expectEqual('ranges', got.subarray(firstRange, firstRow), ranges);
  expectEqual('tiles', got.subarray(8, 8 + tiles.length), tiles);
  const count = tiles.length / 4;
  const columns = t.context.features['SUBGROUP_MATRIX'] ? 128 : 64;
  expectEqual('dispatches', got.subarray(0, 8), [count, Math.ceil(320 / columns), 1, count, count, Math.ceil(200 / columns), 1, 0]);
}

for (const [experts, topK] of [[1, 1], [8, 2], [64, 8], [5, 5], [130, 3]] as const) {
  kernelCase(`moe-plan top-${topK} of ${experts}`, async (t) => {
    for (const tokens of [1, 7, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, 65]) {
      await checkPlan(t, randomIds((limit) => t.randomInt(limit), tokens, topK, experts), experts, topK, 65);
    }
  });
}

kernelCase('moe-plan with all tokens on few experts', async (t) => {
  await checkPlan(t, new Uint32Array(77).fill(3), 8, 1, 100);
  await checkPlan(t, new Uint32Array(64).fill(7), 8, 1, 64);
  await checkPlan(t, Uint32Array.from({ length: 600 }, (_, i) => [511, 0][i % 2] ?? 0), 512, 2, 300);
});

kernelCase('moe-plan of the longest pass', async (t) => {
  await checkPlan(t, randomIds((limit) => t.randomInt(limit), 4096, 8, 32), 32, 8, 4096);
});

kernelCase('moe-plan refuses a buffer that is too small', async (t) => {
  const shape = { experts: 64, topK: 8, maxTokens: 64 };
  const batch = t.input(Uint32Array.of(0, 1, 0, 0));
  const plan = t.output(moePlanBytes(shape) - 16).buffer;
  const error = await moePlan(t.context, { label: 'moe_plan', ids: t.output(2048), batch, plan, ...shape, ...POOLS }).catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
});

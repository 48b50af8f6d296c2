import { expertDown, expertGateUp } from '../../src/expert-gemv.ts';
import type { ExpertActivation } from '../../src/expert-pool.ts';
import type { GemvTile } from '../../src/gemv-tile.ts';
import type { RouterAxes } from '../../src/router.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { F32, MXFP4, Q4_0, Q4_K, Q6_K, Q8_0, randomPool, randomSlots } from '../reference/expert-weights.ts';
import { gatherReference, hiddenReference, product, randomIds } from '../reference/moe.ts';
import { routeReference } from '../reference/router.ts';

const PLAIN: RouterAxes = { score: 'softmax', softmaxAfterTopK: false, groups: null, renormalise: null, scale: 1 };

interface Shape {
  readonly experts: number;
  readonly topK: number;
  readonly d: number;
  readonly width: number;
  readonly gate?: number;
  readonly up: number;
  readonly down: number;
  readonly activation?: ExpertActivation;
  readonly absent?: readonly number[];
  readonly bias?: boolean;
  /** Weights multiply the experts' inputs as well. */
  readonly inputWeights?: boolean;
  /** Of the second half's sum; and it overwrites. */
  readonly scale?: number;
  /** Slots a page of gate and up, and of down. */
  readonly slotsPerPage?: readonly [number, number];
  readonly tile?: GemvTile;
}

/** Runs both halves for one token and compares hidden rows and the residual stream with f64. */
async function checkToken(t: KernelTest, shape: Shape): Promise<void> {
  const { experts, topK, d, width, gate, up, down, activation = 'swiglu', absent = [], bias = false, scale, slotsPerPage = [experts + 1, experts + 1] } = shape;
  const tile = shape.tile ? { tile: shape.tile } : {};
  const slots = randomSlots(t, experts, absent);
  const first = [...(gate === undefined ? [] : [gate]), up].map((type) => ({ type, rows: width, cols: d }));
  const gateUp = randomPool(t, first, slots, slotsPerPage[0], bias);
  const downs = randomPool(t, [{ type: down, rows: d, cols: width }], slots, slotsPerPage[1], bias);
  const table = t.input(slots);
  const chosen = randomIds((limit) => t.randomInt(limit), 1, topK, experts);
  const ids = t.input(chosen);
  // Wide enough to meet the clamps.
  const x = t.randomNormal(d, activation === 'swiglu-clamped' ? 6 : 1);
  const weights = t.randomNormal(topK);
  const inputWeights = shape.inputWeights ? t.randomNormal(topK) : undefined;
  const residual = t.randomNormal(d);
  // A row and an output more than there are, which must stay as they are.
  const hidden = t.output((topK + 1) * width * 4);
  const out = t.input(Float32Array.of(...residual, 7));
  const steps = [
    await expertGateUp(t.context, { label: 'gate_up', x: t.input(x), ids, slots: table, pool: gateUp.pool, hidden, topK, activation, ...tile, ...(inputWeights ? { inputWeights: t.input(inputWeights) } : {}) }),
    await expertDown(t.context, { label: 'down', hidden, ids, weights: t.input(weights), slots: table, pool: downs.pool, out, topK, ...tile, ...(scale === undefined ? {} : { scale, residual: false }) }),
  ];
  await t.run(steps);

  const rows = Array.from(chosen, (e, j) => (absent.includes(e) ? new Float64Array(width) : hiddenReference(gateUp.values[e] ?? [], x, activation, gateUp.biases[e], inputWeights?.[j])));
  const held = await t.readFloats(hidden, (topK + 1) * width);
  expectClose('hidden', held.subarray(0, topK * width), rows.flatMap(vectorsApart));
  if (!held.subarray(topK * width).every(Number.isNaN)) throw new Error('rows of hidden beyond k were written');
  const y = rows.flatMap((row, j) => {
    const e = chosen[j] ?? -1;
    return [...product(downs.values[e]?.[0] ?? new Float64Array(0), row)].map((value, i) => value + (absent.includes(e) ? 0 : (downs.biases[e]?.[0]?.[i] ?? 0)));
  });
  const sums = gatherReference(scale === undefined ? residual : new Float64Array(d), y, weights, d, topK);
  expectClose('out', await t.readFloats(out, d + 1), [...sums.map((sum) => sum * (scale ?? 1)), 7]);
}

/** A row in the order [8, width / 32, 4]: of every 32 values the first four, then of every 32 the next four, … */
function vectorsApart(row: Float64Array): number[] {
  const groups = row.length / 32;
  return Array.from(row, (_, i) => row[(Math.floor(i / 4) % groups) * 32 + Math.floor(i / 4 / groups) * 4 + (i % 4)] ?? NaN);
}

const shapes: Readonly<Record<string, Shape>> = {
  'F32, smallest': { experts: 1, topK: 1, d: 32, width: 32, gate: F32, up: F32, down: F32 },
  'Q8_0': { experts: 8, topK: 2, d: 160, width: 96, gate: Q8_0, up: Q8_0, down: Q8_0 },
  'mixed types': { experts: 6, topK: 3, d: 256, width: 64, gate: Q4_0, up: Q8_0, down: F32 },
  'Q4_K and Q6_K': { experts: 5, topK: 2, d: 512, width: 256, gate: Q4_K, up: Q4_K, down: Q6_K },
  'long rows of gate and up': { experts: 3, topK: 2, d: 4128, width: 64, gate: Q4_0, up: Q4_0, down: Q4_0 },
  'long rows of down': { experts: 9, topK: 8, d: 96, width: 1088, gate: Q4_0, up: Q4_0, down: Q4_0 },
  'k = E, absent experts': { experts: 12, topK: 12, d: 64, width: 32, gate: Q8_0, up: Q8_0, down: Q8_0, absent: [0, 5, 11] },
  'all experts absent': { experts: 4, topK: 2, d: 64, width: 32, gate: Q8_0, up: Q8_0, down: Q8_0, absent: [0, 1, 2, 3] },
  '2 pages': { experts: 5, topK: 5, d: 64, width: 64, gate: Q8_0, up: F32, down: Q4_0, slotsPerPage: [3, 4] },
  '4 and 3 pages': { experts: 10, topK: 10, d: 64, width: 64, gate: Q4_0, up: Q8_0, down: Q8_0, absent: [3], slotsPerPage: [3, 4] },
  'clamped SwiGLU, MXFP4': { experts: 4, topK: 4, d: 96, width: 160, gate: MXFP4, up: MXFP4, down: MXFP4, activation: 'swiglu-clamped' },
  'clamped SwiGLU with biases, absent experts': { experts: 7, topK: 4, d: 96, width: 64, gate: MXFP4, up: MXFP4, down: MXFP4, activation: 'swiglu-clamped', absent: [2, 4], bias: true },
  'GELU with biases, 2 pages': { experts: 5, topK: 3, d: 64, width: 96, up: Q8_0, down: Q8_0, activation: 'gelu', bias: true, slotsPerPage: [3, 4] },
  'weights on the input, 3 pages': { experts: 6, topK: 2, d: 96, width: 64, gate: Q8_0, up: Q8_0, down: Q8_0, inputWeights: true, slotsPerPage: [3, 7] },
  'scaled, overwriting': { experts: 4, topK: 2, d: 64, width: 32, gate: Q8_0, up: Q8_0, down: Q8_0, scale: 0.22 },
  'GEGLU': { experts: 4, topK: 2, d: 64, width: 96, gate: Q8_0, up: Q8_0, down: Q8_0, activation: 'geglu' },
  'one lane, one row a thread': { experts: 4, topK: 3, d: 96, width: 96, gate: Q4_0, up: Q4_0, down: Q4_0, bias: true, tile: { threads: 32, lanes: 1, rowsAThread: 1 } },
  'four rows a thread': { experts: 4, topK: 4, d: 160, width: 160, gate: Q4_0, up: Q4_0, down: Q4_0, bias: true, tile: { threads: 256, lanes: 4, rowsAThread: 4 } },
  'GELU': { experts: 4, topK: 2, d: 64, width: 96, up: Q8_0, down: Q8_0, activation: 'gelu' },
};

for (const [name, shape] of Object.entries(shapes)) {
  kernelCase(`expert-gemv ${name}`, (t) => checkToken(t, shape));
}

/** The step that `make` promises must be refused. */
async function expectRefused(what: string, make: Promise<unknown>): Promise<void> {
  const error = await make.catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error(`${what} is not refused`);
}

const ROUTERS: Readonly<Record<string, { readonly experts: number; readonly topK: number; readonly router: RouterAxes; readonly bias?: boolean; readonly expertScale?: boolean; readonly tile?: GemvTile }>> = {
  'softmax': { experts: 64, topK: 8, router: PLAIN },
  'softmax of 128, renormalised': { experts: 128, topK: 8, router: { ...PLAIN, renormalise: { eps: 0 } } },
  'softmax biased': { experts: 33, topK: 4, router: PLAIN, bias: true },
  'softmax after top-k': { experts: 32, topK: 4, router: { ...PLAIN, score: 'none', softmaxAfterTopK: true } },
  'sigmoid, scaled': { experts: 16, topK: 3, router: { ...PLAIN, score: 'sigmoid', scale: 2.5 }, expertScale: true },
  'one expert': { experts: 1, topK: 1, router: PLAIN },
  'k = E, few threads': { experts: 5, topK: 5, router: PLAIN, tile: { threads: 16, lanes: 4, rowsAThread: 1 } },
};

for (const [name, { experts, topK, router, tile, ...rest }] of Object.entries(ROUTERS)) {
  kernelCase(`expert-gemv chooses by itself: ${name}`, async (t) => {
    const [d, width] = [64, 96];
    const slots = randomSlots(t, experts, []);
    const first = [Q8_0, Q8_0].map((type) => ({ type, rows: width, cols: d }));
    const { pool, values } = randomPool(t, first, slots, experts + 1, false);
    const logits = t.randomNormal(experts, 2);
    // A tie.
    if (experts > 8) logits[3] = logits[7] ?? 0;
    const bias = rest.bias ? t.randomNormal(experts, 0.3) : undefined;
    const expertScale = rest.expertScale ? t.randomNormal(experts) : undefined;
    const x = t.randomNormal(d);
    const hidden = t.output(topK * width * 4);
    const ids = t.output((topK + 1) * 4);
    const weights = t.output((topK + 1) * 4);
    const choice = { logits: t.input(logits), experts, topK, router, ...(bias ? { selectionBias: t.input(bias) } : {}), ...(expertScale ? { expertScale: t.input(expertScale) } : {}) };
    await t.run([await expertGateUp(t.context, { label: 'gate_up', x: t.input(x), ids, slots: t.input(slots), pool, hidden, topK, activation: 'swiglu', route: { ...choice, weights }, ...(tile ? { tile } : {}) })]);
    const expected = routeReference([...logits], topK, router, bias && [...bias], expertScale && [...expertScale]);
    expectEqual('ids', (await t.readInts(ids, topK + 1)).subarray(0, topK), expected.ids);
    const held = await t.readFloats(weights, topK + 1);
    expectClose('weights', held.subarray(0, topK), expected.weights, { relative: 1e-6, absolute: 1e-7 });
    if (!Number.isNaN(held[topK])) throw new Error('a weight beyond k was written');
    expectClose('hidden', await t.readFloats(hidden, topK * width), expected.ids.flatMap((e) => vectorsApart(hiddenReference(values[e] ?? [], x, 'swiglu'))));
  });
}

kernelCase('expert-gemv refuses more pages than it can bind', async (t) => {
  const shape = { experts: 8, topK: 2, d: 32, width: 32, gate: F32, up: F32, down: F32 };
  for (const slotsPerPage of [[2, 9], [9, 2]] as const) await expectRefused('a pool of five pages', checkToken(t, { ...shape, slotsPerPage }));
});

kernelCase('expert-gemv refuses matrices that it would misread', async (t) => {
  const buffer = t.output(64);
  const fine = { type: Q4_K, rows: 32, cols: 256, baseWord: 0 };
  const slotWords = 4096;
  const step = (matrix: Partial<typeof fine>, words = slotWords): Promise<unknown> => {
    const pool = { pages: [buffer], slotsPerPage: 1, slotWords: words, matrices: [{ ...fine, ...matrix }] };
    return expertDown(t.context, { label: 'down', hidden: buffer, ids: buffer, weights: buffer, slots: buffer, pool, out: t.output(64), topK: 1 });
  };
  await step({});
  await expectRefused('a row that is no whole number of blocks', step({ cols: 288 }));
  await expectRefused('a matrix off its 16 bytes', step({ baseWord: 2 }));
  await expectRefused('a matrix that leaves its slot', step({ baseWord: slotWords - 4 }));
  await expectRefused('a slot off its 16 bytes', step({}, slotWords + 1));
});

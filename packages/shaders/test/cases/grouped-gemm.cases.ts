import type { ExpertActivation } from '../../src/expert-pool.ts';
import { TILE_ROWS } from '../../src/gemm-tile.ts';
import { MOST_FEW } from '../../src/gemm.ts';
import { groupedDown, groupedGateUp } from '../../src/grouped-gemm.ts';
import { moeGather } from '../../src/moe-gather.ts';
import { moePlan, moePlanBytes } from '../../src/moe-plan.ts';
import { expectClose, kernelCase, matrixTolerance, type KernelTest } from '../harness/kernel-case.ts';
import { F32, MXFP4, Q4_0, Q4_K, Q6_K, Q8_0, randomPool, randomSlots } from '../reference/expert-weights.ts';
import { gatherReference, hiddenReference, product, randomIds } from '../reference/moe.ts';

interface Shape {
  readonly experts: number;
  readonly topK: number;
  readonly d: number;
  readonly width: number;
  readonly gate?: number;
  readonly up: number;
  readonly down: number;
  readonly tokens: readonly number[];
  readonly activation?: ExpertActivation;
  /** Experts that are not resident until a second round, in which the others are not. */
  readonly late?: readonly number[];
  readonly slotsPerPage?: readonly [number, number];
  readonly bias?: boolean;
  /** Weights multiply the experts' inputs as well. */
  readonly inputWeights?: boolean;
  /** The experts that every token chooses; random ones if not given. */
  readonly chosen?: readonly number[];
}

/** Slot of an expert that is not resident. */
const ABSENT = 0xffffffff;

/** Runs a pass's whole expert part, plan to gather, and compares each expert output and the residual stream with f64. */
async function checkPasses(t: KernelTest, shape: Shape): Promise<void> {
  const { experts, topK, d, width, gate, up, down, activation = 'swiglu', late = [], bias = false, slotsPerPage = [experts + 1, experts + 1] } = shape;
  const slots = randomSlots(t, experts);
  const first = [...(gate === undefined ? [] : [gate]), up].map((type) => ({ type, rows: width, cols: d }));
  const gateUp = randomPool(t, first, slots, slotsPerPage[0], bias);
  const downs = randomPool(t, [{ type: down, rows: d, cols: width }], slots, slotsPerPage[1], bias);
  const residentWhere = (isResident: (expert: number) => boolean) => t.input(slots.map((slot, e) => (isResident(e) ? slot : ABSENT)));
  const early = residentWhere((e) => !late.includes(e));
  const tables = late.length === 0 ? [early] : [early, residentWhere((e) => late.includes(e))];
  const longest = Math.max(...shape.tokens);
  const maxTokens = longest > MOST_FEW ? longest + 3 : MOST_FEW;

  for (const tokens of shape.tokens) {
    const chosen = shape.chosen
      ? Uint32Array.from({ length: tokens * topK }, (_, i) => shape.chosen?.[i % topK] ?? NaN)
      : randomIds((limit) => t.randomInt(limit), tokens, topK, experts);
    // Wide enough to meet the clamps.
    const x = t.randomNormal(tokens * d, activation === 'swiglu-clamped' ? 6 : 1);
    const weights = t.randomNormal(tokens * topK);
    const inputWeights = shape.inputWeights ? t.randomNormal(tokens * topK) : undefined;
    const onInput = inputWeights ? { inputWeights: t.input(inputWeights) } : {};
    const residual = t.randomNormal(tokens * d);
    const batch = t.input(Uint32Array.of(0, tokens, 0, 0));
    const planShape = { experts, topK, maxTokens };
    const plan = t.output(moePlanBytes(planShape)).buffer;
    // A row more than there are assignments, which must stay as it is.
    const assignments = tokens * topK;
    const hidden = t.output((assignments + 1) * width * 4);
    const y = t.output((assignments + 1) * d * 4);
    const out = t.input(residual);
    const steps = [
      ...(await moePlan(t.context, { label: 'plan', ids: t.input(chosen), batch, plan, ...planShape, gateUp: gateUp.pool, down: downs.pool })),
    ];
    for (const table of tables) {
      steps.push(await groupedGateUp(t.context, { label: 'gate_up', x: t.input(x), plan, slots: table, pool: gateUp.pool, hidden, topK, activation, maxTokens, ...onInput }));
      steps.push(await groupedDown(t.context, { label: 'down', hidden, plan, slots: table, pool: downs.pool, out: y, topK, maxTokens }));
    }
    steps.push(await moeGather(t.context, { label: 'gather', y, weights: t.input(weights), out, width: d, topK }));
    await t.run(steps, { tokens, context: tokens });

    const expected = Array.from(chosen).flatMap((e, assignment) => {
      const token = Math.floor(assignment / topK);
      const row = hiddenReference(gateUp.values[e] ?? [], x.subarray(token * d, (token + 1) * d), activation, gateUp.biases[e], inputWeights?.[assignment]);
      return [...product(downs.values[e]?.[0] ?? new Float64Array(0), row)].map((value, i) => value + (downs.biases[e]?.[0]?.[i] ?? 0));
    });
    const held = await t.readFloats(y, (assignments + 1) * d);
    expectClose(`y of ${tokens} tokens`, held.subarray(0, assignments * d), expected, matrixTolerance(t));
    const beyond = [...held.subarray(assignments * d), ...(await t.readFloats(hidden, (assignments + 1) * width)).subarray(assignments * width)];
    if (!beyond.every(Number.isNaN)) throw new Error('rows beyond the assignments were written');
    expectClose(`out of ${tokens} tokens`, await t.readFloats(out, tokens * d), gatherReference(residual, expected, weights, d, topK), matrixTolerance(t));
  }
}

const T = TILE_ROWS;
/** Passes of few tokens, which have kernels of their own. */
const FEW = [1, 2, 5, MOST_FEW];
// Few cases, each with several traits: SwiftShader takes about a second to compile a GEMM.
const shapes: Readonly<Record<string, Shape>> = {
  'dense FFN as one expert, F32': { experts: 1, topK: 1, d: 64, width: 96, gate: F32, up: F32, down: F32, tokens: [1, 7, T - 1, T, T + 1, 65] },
  'mixed types, empty experts': { experts: 64, topK: 2, d: 64, width: 32, gate: Q4_0, up: Q8_0, down: F32, tokens: [7, T + 1] },
  'Q4_0, long rows': { experts: 3, topK: 2, d: 544, width: 288, gate: Q4_0, up: Q4_0, down: Q4_0, tokens: [T - 1] },
  'GELU, all tokens to one expert': { experts: 8, topK: 1, d: 64, width: 32, up: Q8_0, down: Q8_0, activation: 'gelu', tokens: [T, 65], chosen: [6] },
  'Q4_K and Q6_K, all tokens to the same experts': { experts: 5, topK: 2, d: 256, width: 256, gate: Q4_K, up: Q4_K, down: Q6_K, tokens: [1, T + 1], chosen: [4, 1] },
  'clamped SwiGLU, k = E, in two rounds': { experts: 6, topK: 6, d: 64, width: 32, gate: Q8_0, up: Q8_0, down: Q8_0, activation: 'swiglu-clamped', late: [0, 3, 5], tokens: [1, T + 1] },
  'clamped SwiGLU with biases': { experts: 5, topK: 2, d: 64, width: 96, gate: MXFP4, up: MXFP4, down: MXFP4, activation: 'swiglu-clamped', bias: true, slotsPerPage: [3, 6], tokens: [1, T + 1] },
  'weights on the input': { experts: 4, topK: 2, d: 64, width: 64, gate: Q8_0, up: Q8_0, down: Q8_0, inputWeights: true, slotsPerPage: [3, 5], tokens: [1, T + 1] },
  'GEGLU, 2 and 3 pages': { experts: 8, topK: 3, d: 96, width: 64, gate: Q8_0, up: F32, down: Q4_0, activation: 'geglu', slotsPerPage: [5, 4], tokens: [7, 65] },
  'few tokens: dense FFN as one expert, F32': { experts: 1, topK: 1, d: 64, width: 96, gate: F32, up: F32, down: F32, tokens: [1, 2, 3, 4, 5, 6, 7, 8] },
  'few tokens: mixed types, long rows, empty experts': { experts: 64, topK: 3, d: 544, width: 288, gate: Q4_0, up: Q8_0, down: Q4_0, tokens: FEW },
  'few tokens: Q4_K and Q6_K': { experts: 5, topK: 2, d: 512, width: 256, gate: Q4_K, up: Q4_K, down: Q6_K, tokens: FEW, chosen: [4, 1] },
  'few tokens: GELU, one expert': { experts: 8, topK: 1, d: 64, width: 32, up: Q8_0, down: Q8_0, activation: 'gelu', tokens: FEW, chosen: [6] },
  'few tokens: clamped SwiGLU with biases, pages, in two rounds': { experts: 6, topK: 6, d: 64, width: 96, gate: MXFP4, up: MXFP4, down: MXFP4, activation: 'swiglu-clamped', bias: true, late: [0, 3, 5], slotsPerPage: [3, 5], tokens: FEW },
  'few tokens: weights on the input, GEGLU, 3 pages': { experts: 8, topK: 2, d: 96, width: 64, gate: Q8_0, up: F32, down: Q4_0, activation: 'geglu', inputWeights: true, slotsPerPage: [4, 3], tokens: FEW },
  '3 and 4 pages': { experts: 10, topK: 4, d: 96, width: 160, gate: Q4_0, up: Q8_0, down: Q8_0, late: [3], slotsPerPage: [4, 3], tokens: [T - 1] },
};

for (const [name, shape] of Object.entries(shapes)) {
  kernelCase(`grouped-gemm ${name}`, (t) => checkPasses(t, shape));
}

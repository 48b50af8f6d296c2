import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { activationCondition, biasRequest, downMatrix, gateUpMatrices, poolRequest, type ExpertActivation } from './expert-pool.ts';
import { gemvTile, type GemvTile } from './gemv-tile.ts';
import type { ExpertPool } from './planar.ts';
import { choiceRequest, type RouterChoice } from './router.ts';
import type { Step } from './step.ts';

/** Experts that a workgroup chooses among beside its own work. */
const FEW_EXPERTS = 128;

interface ExpertGemvArgs {
  readonly label: string;
  /** [topK] u32: the token's experts */
  readonly ids: GPUBufferBinding;
  /** [experts] u32: the slot of each expert, 0xffffffff where it is absent. */
  readonly slots: GPUBufferBinding;
  readonly pool: ExpertPool;
  readonly topK: number;
  /** Default: by shape and adapter. */
  readonly tile?: GemvTile;
}

export interface ExpertGateUpArgs extends ExpertGemvArgs {
  /** Chooses the experts by itself, which saves a dispatch of `routerTopK`: `ids` and these weights, [topK] f32, are written. Only where `choosesExperts` allows it. */
  readonly route?: RouterChoice & { readonly weights: GPUBufferBinding };
  /** [d] f32 */
  readonly x: GPUBufferBinding;
  /** [topK, 8, width / 32, 4] f32, written: vectors of 4 in the order of `expertDown`; those of absent experts are 0 */
  readonly hidden: GPUBufferBinding;
  readonly activation: ExpertActivation;
  /** [tokens, topK] f32: factors on the experts' inputs */
  readonly inputWeights?: GPUBufferBinding;
}

export interface ExpertDownArgs extends ExpertGemvArgs {
  /** [topK, 8, width / 32, 4] f32 of `expertGateUp` */
  readonly hidden: GPUBufferBinding;
  /** [topK] f32 */
  readonly weights: GPUBufferBinding;
  /** [d] f32; absent experts add nothing */
  readonly out: GPUBufferBinding;
  /** Factor on the sum; default 1. */
  readonly scale?: number;
  /** Adds to `out` (default) or overwrites it. */
  readonly residual?: boolean;
}

/** Whether `expertGateUp` can choose its experts: few enough for workgroup memory, and in few buffers. */
export function choosesExperts({ experts, router, selectionBias, expertScale }: RouterChoice, pool: ExpertPool): boolean {
  const buffers = 6 + pool.pages.length + (selectionBias ? 1 : 0) + (expertScale ? 1 : 0);
  return experts <= FEW_EXPERTS && router.groups === null && buffers <= 8;
}

/**
 * One token's chosen experts, first half, in one dispatch: hidden[j] = activation(gate_j · x, up_j · x). The pool's
 * matrices are gate and up (up alone for `gelu`), `width` rows of d, and may differ in type; 4 pages at most.
 */
export async function expertGateUp(context: ShaderContext, args: ExpertGateUpArgs): Promise<Step> {
  const { label, x, ids, slots, pool, hidden, topK, activation, inputWeights, route } = args;
  if (route && (inputWeights || !choosesExperts(route, pool))) throw new KernelArgumentError(label, `a choice of ${route.experts} experts needs routerTopK first`);
  const choice = route ? choiceRequest(label, route) : { conditions: {}, constants: {}, bindings: {} };
  const matrices = gateUpMatrices(label, pool, activation);
  const { rows, cols } = matrices.UP;
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { ...matrices }, 4 + (inputWeights ? 1 : 0) + (route ? Object.keys(choice.bindings).length + 1 : 0));
  const bias = biasRequest(label, pool, ['GATE', 'UP']);
  const groups = cols / 32;
  const { threads, lanes, rowsAThread } = args.tile ?? gemvTile(context, rows * topK, groups);
  return context.step({
    label,
    module: 'expert_gate_up',
    conditions: { ...conditions, ...choice.conditions, ...bias.conditions, ...activationCondition(activation), INPUT_WEIGHTS: inputWeights !== undefined, ROUTE: route !== undefined, FEW_EXPERTS: route !== undefined },
    constants: { ...constants, ...choice.constants, ...bias.constants, GROUPS: groups, WIDTH: rows, THREADS: threads, LANES: lanes, ROWS_A_THREAD: rowsAThread },
    bindings: { ...bindings, ...choice.bindings, 1: x, 2: ids, 3: slots, 4: hidden, ...(route ? { 6: route.weights } : {}), ...(inputWeights ? { 7: inputWeights } : {}) },
    workgroups: [Math.ceil(rows / ((threads / lanes) * rowsAThread)), route ? topK + 1 : topK, 1],
  });
}

/**
 * One token's chosen experts, second half, in one dispatch: out += scale · Σ_j weights[j] · down_j · hidden[j]. The pool's
 * matrix is down, d rows of `width`. Three pages at most where a stage may bind only 8 storage buffers, else four.
 */
export async function expertDown(context: ShaderContext, args: ExpertDownArgs): Promise<Step> {
  const { label, hidden, ids, weights, slots, pool, out, topK, scale = 1, residual = true } = args;
  const down = downMatrix(label, pool);
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { DOWN: down }, 5);
  const bias = biasRequest(label, pool, ['DOWN']);
  const groups = down.cols / 32;
  const { threads, lanes, rowsAThread } = args.tile ?? gemvTile(context, down.rows * topK, groups);
  const sets = threads / lanes;
  const split = splitOf(topK, sets);
  return context.step({
    label,
    module: 'expert_down',
    conditions: { ...conditions, ...bias.conditions, RESIDUAL: residual },
    constants: { ...constants, ...bias.constants, SCALE: scale, GROUPS: groups, WIDTH: down.rows, TOP_K: topK, THREADS: threads, LANES: lanes, ROWS_A_THREAD: rowsAThread, SPLIT: split },
    bindings: { ...bindings, 1: hidden, 2: ids, 3: weights, 4: slots, 5: out },
    workgroups: [Math.ceil(down.rows / ((sets / split) * rowsAThread)), 1, 1],
  });
}

/** Sets of lanes among which a token's experts are shared out: a power of two, so that sets divide evenly. */
function splitOf(topK: number, sets: number): number {
  let split = 1;
  while (split * 2 <= Math.min(topK, sets)) split *= 2;
  return split;
}

import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { activationCondition, biasRequest, downMatrix, gateUpMatrices, poolRequest, type ExpertActivation } from './expert-pool.ts';
import { MOST_FEW } from './gemm.ts';
import { gemmTile } from './gemm-tile.ts';
import { DOWN_DISPATCH_OFFSET, GATE_UP_DISPATCH_OFFSET } from './moe-plan.ts';
import type { ExpertPool } from './planar.ts';
import type { Step } from './step.ts';

interface GroupedGemmArgs {
  readonly label: string;
  /** The tables that `moePlan` made for this pass; also the source of the dispatch arguments. */
  readonly plan: GPUBuffer;
  /** [experts] u32: the slot of each expert, 0xffffffff where it is absent. */
  readonly slots: GPUBufferBinding;
  readonly pool: ExpertPool;
  readonly topK: number;
  /** Most tokens in a pass. */
  readonly maxTokens: number;
}

export interface GroupedGateUpArgs extends GroupedGemmArgs {
  /** [tokens, d] f32 */
  readonly x: GPUBufferBinding;
  /** [tokens · topK, width] f32 in the plan's row order, written; rows of absent experts are left as they are */
  readonly hidden: GPUBufferBinding;
  readonly activation: ExpertActivation;
  /** [tokens, topK] f32: factors on the experts' inputs */
  readonly inputWeights?: GPUBufferBinding;
}

export interface GroupedDownArgs extends GroupedGemmArgs {
  /** [tokens · topK, width] f32 in the plan's row order */
  readonly hidden: GPUBufferBinding;
  /** [tokens · topK, d] f32 by assignment t·k + j, written; rows of absent experts are left as they are */
  readonly out: GPUBufferBinding;
}

/**
 * A pass's experts, first half: for each assignment, activation(gate · x, up · x). The pool's matrices are gate and up
 * (up alone for `gelu`), `width` rows of d, and may differ in type; 4 pages at most.
 */
export async function groupedGateUp(context: ShaderContext, args: GroupedGateUpArgs): Promise<Step> {
  const { label, x, plan, slots, pool, hidden, topK, activation, inputWeights, maxTokens } = args;
  if (maxTokens <= MOST_FEW) return (await import('./few/few.ts')).gateUpFew(context, args);
  const matrices = gateUpMatrices(label, pool, activation);
  const { rows, cols } = matrices.UP;
  if (rows % 32 !== 0) throw new KernelArgumentError(label, `experts of width ${rows}; must be a multiple of 32`);
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { ...matrices }, inputWeights ? 5 : 4);
  const bias = biasRequest(label, pool, ['GATE', 'UP']);
  const types = pool.matrices.map(({ type }) => type);
  return context.step({
    label,
    module: 'grouped_gate_up',
    conditions: { ...conditions, ...bias.conditions, ...activationCondition(activation), ...gemmTile(context, types).conditions, MIXED: new Set(types).size > 1, INPUT_WEIGHTS: inputWeights !== undefined },
    constants: { ...constants, ...bias.constants, GROUPS: cols / 32, WIDTH: rows, TOP_K: topK },
    bindings: { ...bindings, 1: x, 2: { buffer: plan }, 3: slots, 4: hidden, ...(inputWeights ? { 7: inputWeights } : {}) },
    workgroups: [0, 0, 0],
    indirect: { buffer: plan, offset: GATE_UP_DISPATCH_OFFSET },
  });
}

/** A pass's experts, second half: down · hidden for each assignment. The pool's matrix is down, d rows of `width`; 4 pages at most. */
export async function groupedDown(context: ShaderContext, args: GroupedDownArgs): Promise<Step> {
  const { label, hidden, plan, slots, pool, out, maxTokens } = args;
  if (maxTokens <= MOST_FEW) return (await import('./few/few.ts')).downFew(context, args);
  const down = downMatrix(label, pool);
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { DOWN: down }, 4);
  const bias = biasRequest(label, pool, ['DOWN']);
  return context.step({
    label,
    module: 'grouped_down',
    conditions: { ...conditions, ...bias.conditions, ...gemmTile(context, [down.type]).conditions },
    constants: { ...constants, ...bias.constants, GROUPS: down.cols / 32, WIDTH: down.rows },
    bindings: { ...bindings, 1: hidden, 2: { buffer: plan }, 3: slots, 4: out },
    workgroups: [0, 0, 0],
    indirect: { buffer: plan, offset: DOWN_DISPATCH_OFFSET },
  });
}

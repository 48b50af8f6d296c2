import type { ShaderContext } from '../context.ts';
import { activationCondition, biasRequest, downMatrix, gateUpMatrices, poolRequest } from '../expert-pool.ts';
import type { GroupedDownArgs, GroupedGateUpArgs } from '../grouped-gemm.ts';
import type { Step } from '../step.ts';
import { fewTile, sources } from './few-tile.ts';

/** `groupedGateUp` for a pass of up to `MOST_FEW` tokens: an expert's weights are read once for those that chose it. */
export async function gateUpFew(context: ShaderContext, args: GroupedGateUpArgs): Promise<Step> {
  const { label, x, plan, slots, pool, hidden, topK, activation, inputWeights } = args;
  const matrices = gateUpMatrices(label, pool, activation);
  const { rows, cols } = matrices.UP;
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { ...matrices }, inputWeights ? 5 : 4);
  const bias = biasRequest(label, pool, ['GATE', 'UP']);
  const groups = cols / 32;
  const tile = fewTile(context, pool.matrices.map(({ type }) => type), groups);
  const columns = Math.ceil(rows / tile.sets);
  return context.step({
    label,
    module: 'few/gate_up',
    sources,
    conditions: { ...conditions, ...bias.conditions, ...activationCondition(activation), ...tile.conditions, INPUT_WEIGHTS: inputWeights !== undefined },
    constants: { ...constants, ...bias.constants, ...tile.constants, GROUPS: groups, WIDTH: rows, TOP_K: topK },
    bindings: { ...bindings, 1: x, 2: { buffer: plan }, 3: slots, 4: hidden, ...(inputWeights ? { 7: inputWeights } : {}) },
    // Not indirect, whose checking costs a dispatch: workgroups beyond the last tile end at once.
    workgroups: ({ tokens }) => [tokens * topK, columns, 1],
  });
}

/** `groupedDown` for a pass of up to `MOST_FEW` tokens. */
export async function downFew(context: ShaderContext, args: GroupedDownArgs): Promise<Step> {
  const { label, hidden, plan, slots, pool, out, topK } = args;
  const down = downMatrix(label, pool);
  const { conditions, constants, bindings } = poolRequest(context, label, pool, { DOWN: down }, 4);
  const bias = biasRequest(label, pool, ['DOWN']);
  const groups = down.cols / 32;
  const tile = fewTile(context, [down.type], groups);
  const columns = Math.ceil(down.rows / (2 * tile.sets));
  return context.step({
    label,
    module: 'few/down',
    sources,
    conditions: { ...conditions, ...bias.conditions, ...tile.conditions },
    constants: { ...constants, ...bias.constants, ...tile.constants, GROUPS: groups, WIDTH: down.rows },
    bindings: { ...bindings, 1: hidden, 2: { buffer: plan }, 3: slots, 4: out },
    workgroups: ({ tokens }) => [tokens * topK, columns, 1],
  });
}

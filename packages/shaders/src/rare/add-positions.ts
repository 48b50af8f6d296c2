import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { StackedWeights } from '../planar.ts';
import type { Step } from '../step.ts';
import { stackedRequest } from '../weights.ts';
import source from '../wgsl/rare/add_positions.wesl?raw';

export interface AddPositionsArgs {
  readonly label: string;
  /** [tokens, cols] f32, added to */
  readonly x: GPUBufferBinding;
  /** One matrix, [positions, cols]. The host checks that the batch's positions are within it. */
  readonly table: StackedWeights;
  /** Uniform: position of the first token, tokens in this pass; or of each row, as `RowTokens.rows`. */
  readonly batch: GPUBufferBinding;
  readonly byRow?: boolean;
}

/** Adds each token's learned position embedding, GGUF `position_embd.weight`. */
export async function addPositions(context: ShaderContext, { label, x, table, batch, byRow = false }: AddPositionsArgs): Promise<Step> {
  if (table.matrices.length > 1) throw new KernelArgumentError(label, `needs one table, got ${table.matrices.length} matrices`);
  const { conditions, constants } = stackedRequest(label, table);
  return context.step({
    label,
    module: 'rare/add_positions',
    sources: { 'rare/add_positions.wesl': source },
    conditions: { ...conditions, ROWS: byRow },
    constants,
    bindings: { 0: table.binding, 4: batch, 2: x },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}

import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { formatConditions, type StackedWeights } from './planar.ts';
import type { Step } from './step.ts';
import { checkMatrix } from './weights.ts';

export interface EmbedArgs {
  readonly label: string;
  /** Which tokens, and where they are: those of one sequence, or of as many as there are rows. */
  readonly tokens: SequenceTokens | RowTokens;
  /** One matrix: rows [firstRow, firstRow + rows) of the embedding table, GGUF `token_embd.weight`. */
  readonly table: StackedWeights;
  readonly firstRow: number;
  /** [tokens, cols] f32; rows of tokens whose id the table does not hold are left alone */
  readonly out: GPUBufferBinding;
  /** Factor on the row; 1 for most models. */
  readonly scale: number;
  /** [vocabulary] u32, of each row: 1 + the last position of each token, kept up for every id. For the repeat penalty. */
  readonly seen?: GPUBufferBinding;
  /** Most tokens in a pass. */
  readonly maxTokens: number;
}

export interface SequenceTokens {
  /** [tokens] u32. The host checks that they are within the vocabulary. */
  readonly ids: GPUBufferBinding;
  /** Uniform: position of the first token, tokens in this pass. */
  readonly batch: GPUBufferBinding;
}

export interface RowTokens {
  /** Uniform, `MOST_FEW` times 16 bytes: position, 1 where a session has the row (else nothing is written), id, 0. */
  readonly rows: GPUBufferBinding;
  readonly vocab: number;
}

/** Embedding lookup with dequantisation. A table cut into pieces takes a step for each. */
export async function embed(context: ShaderContext, args: EmbedArgs): Promise<Step> {
  const { label, tokens, table, firstRow, out, scale, seen, maxTokens } = args;
  const [matrix] = table.matrices;
  if (!matrix || table.matrices.length > 1) throw new KernelArgumentError(label, `needs one table, got ${table.matrices.length} matrices`);
  checkMatrix(label, matrix);
  const limit = context.device.limits.maxComputeWorkgroupsPerDimension;
  if (maxTokens > limit) throw new KernelArgumentError(label, `${maxTokens} tokens a pass; at most ${limit}`);
  const byRow = 'rows' in tokens;
  return context.step({
    label,
    module: 'embed',
    conditions: { ...formatConditions([matrix.type]), SEEN: seen !== undefined, ROWS: byRow },
    constants: { TYPE: matrix.type, BASE: matrix.baseWord, ROWS: matrix.rows, GROUPS: matrix.cols / 32, FIRST_ROW: firstRow, SCALE: scale, ...(byRow && seen ? { VOCAB: tokens.vocab } : {}) },
    bindings: { 0: table.binding, ...(byRow ? { 4: tokens.rows } : { 1: tokens.ids, 4: tokens.batch }), 3: out, ...(seen ? { 2: seen } : {}) },
    workgroups: (size) => [size.tokens, 1, 1],
  });
}

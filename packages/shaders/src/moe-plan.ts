import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { gemmTile, TILE_ROWS } from './gemm-tile.ts';
import type { ExpertPool } from './planar.ts';
import type { Step } from './step.ts';

/** Threads of both kernels' workgroups. */
const MOST_THREADS = 256;

/** Dispatch arguments of the two grouped GEMMs, and the number of tiles. */
const HEADER_WORDS = 8;
const TILE_WORDS = 4;
/** Bytes from the plan's start to each grouped GEMM's dispatch arguments. */
export const GATE_UP_DISPATCH_OFFSET = 0;
export const DOWN_DISPATCH_OFFSET = 16;

export interface MoePlanShape {
  readonly experts: number;
  /** Experts a token. */
  readonly topK: number;
  /** Tokens of the longest pass. */
  readonly maxTokens: number;
}

export interface MoePlanArgs extends MoePlanShape {
  readonly label: string;
  /** [tokens, topK] u32, each below `experts` */
  readonly ids: GPUBufferBinding;
  /** Batch uniform: how many tokens this pass has. */
  readonly batch: GPUBufferBinding;
  /** `moePlanBytes` bytes with STORAGE and INDIRECT usage, written. */
  readonly plan: GPUBuffer;
  /** The experts' matrices: gate and up (or up alone) … */
  readonly gateUp: ExpertPool;
  /** … and down. */
  readonly down: ExpertPool;
}

/**
 * Layout of the plan in u32 words, all in one buffer since stages may bind no more than 8:
 * 8 words: (x, y, z) of the gate/up dispatch, tile count, (x, y, z) of the down dispatch, 0 ·
 * 4 words a tile: expert, first row, rows, word at which the rows' assignments start ·
 * 2 words an expert: first row, rows ·
 * 1 word a row: its assignment t·k + j, by expert, then ascending.
 */
export function moePlanLayout({ experts, topK, maxTokens }: MoePlanShape): {
  readonly firstRange: number;
  readonly firstRow: number;
  readonly maxTiles: number;
  readonly words: number;
} {
  const assignments = maxTokens * topK;
  const maxTiles = Math.min(assignments, Math.floor(assignments / TILE_ROWS) + experts);
  const firstRange = HEADER_WORDS + TILE_WORDS * maxTiles;
  const firstRow = firstRange + 2 * experts;
  return { firstRange, firstRow, maxTiles, words: firstRow + assignments };
}

/** Bytes of a buffer that holds the plan of passes of up to `maxTokens` tokens. */
export function moePlanBytes(shape: MoePlanShape): number {
  return moePlanLayout(shape).words * 4;
}

/**
 * Sorts a pass's assignments by expert and cuts them into the tiles that the grouped GEMMs run over, all on the GPU
 * (DeepSpeed-MoE's table-based gating, arXiv 2201.05596 §5.4). Two dispatches. Throws `KernelArgumentError` where the
 * tables would not fit a dispatch or the given buffer.
 */
export async function moePlan(context: ShaderContext, args: MoePlanArgs): Promise<readonly Step[]> {
  const { label, ids, batch, plan, experts, topK, gateUp, down } = args;
  const { firstRange, firstRow, maxTiles, words } = moePlanLayout(args);
  const limit = context.device.limits.maxComputeWorkgroupsPerDimension;
  if (maxTiles > limit || experts > limit) throw new KernelArgumentError(label, `up to ${maxTiles} tiles of ${experts} experts exceed the limit of ${limit} workgroups: use shorter passes`);
  if (plan.size < words * 4) throw new KernelArgumentError(label, `the plan needs ${words * 4} bytes (moePlanBytes), its buffer has ${plan.size}`);
  const workgroups = [experts, 1, 1] as const;
  return Promise.all([
    context.step({
      label: `${label}.rows`,
      module: 'moe_plan_rows',
      constants: { THREADS: context.threads(MOST_THREADS), TOP_K: topK, FIRST_RANGE: firstRange, FIRST_ROW: firstRow },
      bindings: { 0: ids, 1: { buffer: plan }, 2: batch },
      workgroups,
    }),
    context.step({
      label: `${label}.tiles`,
      module: 'moe_plan_tiles',
      constants: {
        THREADS: context.threads(MOST_THREADS),
        EXPERTS: experts,
        TILE_ROWS,
        FIRST_RANGE: firstRange,
        FIRST_ROW: firstRow,
        GATE_UP_COLUMNS: columnTiles(context, gateUp, 2),
        DOWN_COLUMNS: columnTiles(context, down, 1),
      },
      bindings: { 0: { buffer: plan } },
      workgroups,
    }),
  ]);
}

/** Workgroups over a pool's outputs, each of which takes `share` columns of a tile. */
function columnTiles(context: ShaderContext, { matrices }: ExpertPool, share: number): number {
  const { columns } = gemmTile(context, matrices.map(({ type }) => type));
  return Math.ceil((matrices[0]?.rows ?? 0) / (columns / share));
}

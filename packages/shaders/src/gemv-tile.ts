import type { ShaderContext } from './context.ts';

/** How a matrix-vector product is cut into threads. */
export interface GemvTile {
  /** Threads of a workgroup: a power of two, at most 256. */
  readonly threads: number;
  /** Threads that share a row: a power of two; with subgroups at most a subgroup's size. */
  readonly lanes: number;
  /** Rows that a thread works on at once: 1 to 4. Inputs are read once for all of them. */
  readonly rowsAThread: number;
}

const THREADS = 256;
/** Threads that share a row where their sums go through workgroup memory. */
const MOST_LANES = 32;
const MOST_ROWS = 4;
/** Threads that fill a large GPU: below that, fewer rows a thread. */
const ENOUGH_THREADS = 3 << 15;
/** Below that, workgroups are smaller. */
const FEWEST_WORKGROUPS = 16;
/** Of a CPU adapter's workgroups, of which few fill the machine, and each costs. */
const CPU_THREADS = 64;
const CPU_LANES = 4;

/** The tile of a product of `rows` rows of `groups` groups of 32 weights. */
export function gemvTile(context: ShaderContext, rows: number, groups: number): GemvTile {
  const { narrow } = context;
  const lanes = lanesFor(groups, context.features['SUBGROUPS'] ? context.subgroupSize : narrow ? CPU_LANES : MOST_LANES);
  const enough = narrow ? CPU_THREADS : ENOUGH_THREADS;
  let rowsAThread = MOST_ROWS;
  while (rowsAThread > 1 && (rows * lanes) / rowsAThread < enough) rowsAThread /= 2;
  // Few rows, like a router's: more multiprocessors take part.
  const threads = rows * lanes < FEWEST_WORKGROUPS * THREADS ? THREADS / 2 : THREADS;
  return { threads: narrow ? CPU_THREADS : threads, lanes, rowsAThread };
}

/** The most lanes of which few idle at a row's end. */
function lanesFor(groups: number, most: number): number {
  let lanes = 1;
  while (lanes < most && lanes * 2 <= groups && (groups % (lanes * 2) === 0 || groups >= lanes * 8)) lanes *= 2;
  return lanes;
}

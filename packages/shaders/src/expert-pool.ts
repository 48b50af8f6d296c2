import type { Conditions, ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { formatConditions, planarLayout, type ExpertPool, type PlanarMatrix } from './planar.ts';
import { checkMatrix } from './weights.ts';

/** Pages that a kernel can bind (weights.wesl). */
const MAX_PAGES = 4;
/** ggml's number for F32, which biases are. */
const F32 = 0;
/** Bindings of a pool's pages. */
const PAGE_BINDINGS = [0, 10, 11, 12] as const;

/** What an expert kernel needs to read a pool's matrices. */
export interface PoolRequest {
  readonly conditions: Conditions;
  readonly constants: Readonly<Record<string, number>>;
  readonly bindings: Readonly<Record<number, GPUBindingResource>>;
}

/**
 * Conditions, constants and bindings by which a kernel reads `matrices` of `pool`, each named as the kernel's constants
 * `NAME_TYPE` and `NAME_BASE` do. Throws `KernelArgumentError` where the pool has more pages than the kernel can bind, or
 * a matrix cannot lie as it says.
 *
 * @param otherBuffers storage buffers that the kernel binds beside the pages
 */
export function poolRequest(
  context: ShaderContext,
  label: string,
  pool: ExpertPool,
  matrices: Readonly<Record<string, PlanarMatrix>>,
  otherBuffers: number,
): PoolRequest {
  const { pages, slotsPerPage, slotWords } = pool;
  const limit = Math.min(MAX_PAGES, context.device.limits.maxStorageBuffersPerShaderStage - otherBuffers);
  if (pages.length < 1 || pages.length > limit) {
    throw new KernelArgumentError(
      label,
      `an expert pool of ${pages.length} pages; between 1 and ${limit} can be bound here (maxStorageBuffersPerShaderStage): use larger pages or fewer slots`,
    );
  }
  if (slotWords % 4 !== 0) throw new KernelArgumentError(label, `slots of ${slotWords} words; must be a multiple of 4`);
  // Of one page no kernel asks, so that pools of any size share pipelines.
  const constants: Record<string, number> = { SLOTS_PER_PAGE: pages.length > 1 ? slotsPerPage : 1, SLOT_WORDS: slotWords };
  for (const [name, matrix] of Object.entries(matrices)) {
    checkMatrix(label, matrix);
    const { type, rows, cols, baseWord } = matrix;
    const end = baseWord + planarLayout(type, rows * cols).words;
    if (end > slotWords) throw new KernelArgumentError(label, `a matrix ends at word ${end} of a slot of ${slotWords} words`);
    constants[`${name}_TYPE`] = type;
    constants[`${name}_BASE`] = baseWord;
  }
  return {
    conditions: {
      ...formatConditions(Object.values(matrices).map(({ type }) => type)),
      PAGES: pages.length > 1,
      PAGES_3: pages.length > 2,
      PAGES_4: pages.length > 3,
    },
    constants,
    bindings: Object.fromEntries(pages.map((page, i) => [PAGE_BINDINGS[i], page])),
  };
}

/**
 * Condition and constants by which a kernel finds the biases of `pool`, named as the kernel's constants. Throws
 * `KernelArgumentError` unless there are as many as matrices, each F32 of its matrix's rows.
 */
export function biasRequest(label: string, { matrices, biases, slotWords }: ExpertPool, names: readonly string[]): Omit<PoolRequest, 'bindings'> {
  if (!biases) return { conditions: {}, constants: {} };
  const constants: Record<string, number> = {};
  for (const [position, { rows }] of matrices.entries()) {
    const bias = biases[position];
    if (bias?.type !== F32 || bias.cols !== rows) throw new KernelArgumentError(label, `a bias of ${bias?.cols ?? 0} elements for ${rows} rows; must be as many, F32`);
    if (bias.baseWord + rows > slotWords) throw new KernelArgumentError(label, `a bias ends at word ${bias.baseWord + rows} of a slot of ${slotWords} words`);
    constants[`${names[position + names.length - matrices.length]}_BIAS`] = bias.baseWord;
  }
  return { conditions: { BIAS: true }, constants };
}

/** Expert activations, after the model spec's axis. `gelu` has no gate matrix. */
export type ExpertActivation = 'swiglu' | 'swiglu-clamped' | 'geglu' | 'gelu';

/** The condition by which activation.wesl includes an activation. */
export function activationCondition(activation: ExpertActivation): Conditions {
  const names = { swiglu: 'SWIGLU', 'swiglu-clamped': 'SWIGLU_CLAMPED', geglu: 'GEGLU', gelu: 'GELU' } as const;
  return { [names[activation]]: true };
}

/** The first-half matrices of a pool by the names of the kernels' constants: gate and up, or up alone for `gelu`. */
export function gateUpMatrices(label: string, { matrices }: ExpertPool, activation: ExpertActivation): { readonly UP: PlanarMatrix; readonly GATE?: PlanarMatrix } {
  const [first, second] = matrices;
  const gated = activation !== 'gelu';
  if (!first || (gated ? !second : second) || matrices.length > 2) {
    throw new KernelArgumentError(label, `${activation} needs ${gated ? 'the matrices gate and up' : 'the matrix up alone'}, got ${matrices.length} matrices`);
  }
  if (!second) return { UP: first };
  if (first.rows !== second.rows || first.cols !== second.cols) {
    throw new KernelArgumentError(label, `gate is ${first.rows} x ${first.cols} but up is ${second.rows} x ${second.cols}`);
  }
  return { GATE: first, UP: second };
}

/** The single matrix of a second-half pool. */
export function downMatrix(label: string, { matrices }: ExpertPool): PlanarMatrix {
  const [down] = matrices;
  if (!down || matrices.length > 1) throw new KernelArgumentError(label, `needs the matrix down alone, got ${matrices.length} matrices`);
  return down;
}

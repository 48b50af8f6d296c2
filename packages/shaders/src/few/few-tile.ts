import type { Conditions, ShaderContext } from '../context.ts';

/** Kernels for few rows: a pass of up to `MOST_FEW` tokens (gemm.ts), keyed as in `context.ts`. */
export const sources: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(import.meta.glob<string>('../wgsl/few/*.wesl', { query: '?raw', import: 'default', eager: true })).map(([path, text]) => [path.replace('../wgsl/', ''), text]),
);

/** ggml's numbers of the types whose weights have an offset: Q4_1, Q5_1, Q2_K, Q4_K, Q5_K. */
const WITH_OFFSET: ReadonlySet<number> = new Set([3, 7, 10, 12, 13]);
const THREADS = 128;
/** Of a CPU adapter's workgroups, of which few fill the machine, and each costs. */
const CPU_THREADS = 64;
/** Workgroup memory that longer steps take (few/rows.wesl). */
const WIDE_BYTES = 8 * 129 * 16 + 64;
/** Without subgroups sums take some as well (lane_sums.wesl). */
const PARTIAL_BYTES = 256 * 16;

/** How a product for few rows is cut into threads. */
export interface FewTile {
  /** Sets of threads in a workgroup, each of which has two outputs, or one of gate and up. */
  readonly sets: number;
  readonly conditions: Conditions;
  readonly constants: Readonly<Record<'THREADS' | 'LANES', number>>;
}

/** The tile over weights of these ggml types with `groups` groups of 32 inputs. */
export function fewTile(context: ShaderContext, types: readonly number[], groups: number): FewTile {
  const { narrow, subgroupSize, features, device } = context;
  const bySubgroup = features['SUBGROUPS'] === true;
  // A CPU adapter clears workgroup memory word by word.
  const wide = !narrow && device.limits.maxComputeWorkgroupStorageSize >= WIDE_BYTES + (bySubgroup ? 0 : PARTIAL_BYTES);
  const threads = narrow ? CPU_THREADS : THREADS;
  const most = Math.min(wide ? 16 : 8, bySubgroup ? subgroupSize : Infinity);
  let lanes = 1;
  while (lanes * 2 <= Math.min(most, groups)) lanes *= 2;
  return {
    sets: threads / lanes,
    conditions: { WIDE: wide, OFFSETS: types.some((type) => WITH_OFFSET.has(type)) },
    constants: { THREADS: threads, LANES: lanes },
  };
}

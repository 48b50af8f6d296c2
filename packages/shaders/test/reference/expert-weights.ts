import { planarLayout, type ExpertPool, type PlanarMatrix } from '../../src/planar.ts';
import type { KernelTest } from '../harness/kernel-case.ts';
import { randomMatrix } from './quants.ts';

/** ggml's type numbers. */
export const F32 = 0;
export const Q4_0 = 2;
export const Q8_0 = 8;
export const Q4_K = 12;
export const Q6_K = 14;
export const MXFP4 = 39;

export interface MatrixShape {
  readonly type: number;
  readonly rows: number;
  readonly cols: number;
}

/** A pool of random experts, and the exact value of each weight: `values[expert][matrix][row · cols + col]`. */
export interface RandomPool {
  readonly pool: ExpertPool;
  readonly values: readonly (readonly Float64Array[])[];
  /** `biases[expert][matrix][row]`; empty where experts have none. */
  readonly biases: readonly (readonly Float32Array[])[];
}

/** A random permutation of slots, with those of `absent` experts marked; one slot more than experts. */
export function randomSlots(t: KernelTest, experts: number, absent: readonly number[] = []): Uint32Array<ArrayBuffer> {
  const free = Array.from({ length: experts + 1 }, (_, slot) => slot);
  return Uint32Array.from({ length: experts }, (_, e) => {
    const slot = free.splice(t.randomInt(free.length), 1)[0] ?? 0;
    return absent.includes(e) ? 0xffffffff : slot;
  });
}

/** Experts of random weights, and maybe biases, in their slots. Unused slots and those of absent experts hold NaNs. */
export function randomPool(t: KernelTest, shapes: readonly MatrixShape[], slots: Uint32Array, slotsPerPage: number, withBias = false): RandomPool {
  let slotWords = 0;
  const place = ({ type, rows, cols }: MatrixShape): PlanarMatrix => {
    const matrix = { type, rows, cols, baseWord: slotWords };
    slotWords += planarLayout(type, rows * cols).words;
    return matrix;
  };
  const matrices = shapes.map(place);
  const vectors = withBias ? shapes.map(({ rows }) => place({ type: F32, rows: 1, cols: rows })) : undefined;
  const pages = Array.from({ length: Math.ceil((slots.length + 1) / slotsPerPage) }, () => new Uint8Array(slotsPerPage * slotWords * 4).fill(0xff));
  const values = Array.from(slots, (slot) =>
    matrices.map(({ type, rows, cols, baseWord }) => {
      const matrix = randomMatrix(t, type, rows, cols, 1 / Math.sqrt(cols));
      pages[Math.floor(slot / slotsPerPage)]?.set(matrix.planar, ((slot % slotsPerPage) * slotWords + baseWord) * 4);
      return matrix.values;
    }),
  );
  const biases = Array.from(slots, (slot) =>
    (vectors ?? []).map(({ cols, baseWord }) => {
      const bias = t.randomNormal(cols);
      pages[Math.floor(slot / slotsPerPage)]?.set(new Uint8Array(bias.buffer), ((slot % slotsPerPage) * slotWords + baseWord) * 4);
      return bias;
    }),
  );
  const pool = { pages: pages.map((page) => t.input(page)), slotsPerPage, slotWords, matrices, ...(vectors ? { biases: vectors } : {}) };
  return { pool, values, biases };
}

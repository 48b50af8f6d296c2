import { planarLayout, type ExpertPool, type PlanarMatrix, type StackedWeights } from '@gatefold/shaders';
import type { TensorInfo } from '../model/gguf/types.ts';

/** A whole number of rows of one tensor, as a planar matrix of its own in a GPU buffer. */
export interface PlacedRows {
  readonly buffer: GPUBuffer;
  readonly matrix: PlanarMatrix;
  /** First row of the tensor that lies here. */
  readonly firstRow: number;
}

/** Where a trunk tensor lies on the GPU: in one piece, or cut at rows where a binding cannot hold it. */
export interface PlacedTensor {
  readonly info: TensorInfo;
  readonly pieces: readonly PlacedRows[];
}

/** The two slot pools of one layer's experts, and the (expert → slot) table that the kernels go through. */
export interface PlacedExperts {
  readonly gateUp: ExpertPool;
  readonly down: ExpertPool;
  /** u32[experts]; 0xffffffff where the expert is not resident. */
  readonly slots: GPUBuffer;
  /** Slots of each pool: fewer than experts where a budget is kept. */
  readonly slotCount: number;
}

/** Bytes of a planar matrix of `elements` weights. */
export function planarBytes(type: number, elements: number): number {
  return planarLayout(type, elements).words * 4;
}

/** Matrices one after the other: their places and the words that they take together. */
export function stack(matrices: readonly { readonly type: number; readonly rows: number; readonly cols: number }[]): {
  readonly matrices: readonly PlanarMatrix[];
  readonly words: number;
} {
  let words = 0;
  const placed = matrices.map(({ type, rows, cols }) => {
    const matrix: PlanarMatrix = { type, rows, cols, baseWord: words };
    words += planarLayout(type, rows * cols).words;
    return matrix;
  });
  return { matrices: placed, words };
}

/** [rows, cols] of a tensor; a vector is one row. */
export function matrixShape(info: TensorInfo): { readonly rows: number; readonly cols: number } {
  const cols = info.shape.at(-1) ?? 1;
  const rows = info.shape.length > 1 ? (info.shape.at(-2) ?? 1) : 1;
  return { rows, cols };
}

/** A placed tensor in one piece as weights of a GEMV or GEMM. */
export function wholeWeights(placed: PlacedTensor): StackedWeights | undefined {
  const [piece, ...rest] = placed.pieces;
  return piece && rest.length === 0 ? { binding: { buffer: piece.buffer }, matrices: [piece.matrix] } : undefined;
}

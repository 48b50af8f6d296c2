import type { Conditions, ShaderContext } from './context.ts';

/** What one workgroup of a GEMM computes, and by which variant of the kernel. */
export interface GemmTile {
  /** Activations: tokens, or sorted rows. */
  readonly rows: number;
  /** Rows of the weights. */
  readonly columns: number;
  readonly conditions: Conditions;
}

/** Rows of every variant's tile. */
export const TILE_ROWS = 64;

/** ggml's number for F32. */
const F32 = 0;

/**
 * The tile that GEMMs over weights of these ggml types run on: subgroup matrices where the device has them, else f32
 * (matrix/tile.wesl, tile_f32.wesl). Weights that a file keeps in f32, as routers', are not rounded to f16.
 */
export function gemmTile(context: ShaderContext, types: readonly number[]): GemmTile {
  if (context.features['SUBGROUP_MATRIX'] && !types.includes(F32)) return { rows: TILE_ROWS, columns: 128, conditions: { MATRIX: true } };
  return { rows: TILE_ROWS, columns: 64, conditions: {} };
}

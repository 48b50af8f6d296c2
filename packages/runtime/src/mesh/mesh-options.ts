import type { HedgeLimits } from './response-times.ts';
import type { WireFormat } from './wire-format.ts';

/** How a tab works with its peers. */
export interface MeshOptions {
  /** How activations travel, both ways. */
  readonly wire: WireFormat;
  /** Share of the peers' results that are computed again at home and compared. */
  readonly checkShare: number;
  /** Which results are checked; random where it is not given, since a peer must not know. */
  readonly seed?: number;
  readonly hedge: HedgeLimits;
  /** Share of the results for peers that are made slightly wrong, to try their checks. */
  readonly corruptShare?: number;
}

export const MESH_DEFAULTS: MeshOptions = { wire: 'f32', checkShare: 1 / 64, hedge: { leastMs: 30, mostMs: 500 } };

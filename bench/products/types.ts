import type { AdapterSummary } from '@gatefold/runtime';

/** Times one token's matrix products as they are shipped, and with inputs rounded to bytes (`wgsl/`). */
export interface ProductsJob {
  /** Layers of weights, read in turn, so that none is left in a cache. */
  readonly layers: number;
}

export interface ProductRow {
  readonly product: string;
  readonly weights: string;
  readonly variant: 'f32, as shipped' | 'int8';
  readonly threads: number;
  readonly rowsAThread: number;
  /** Of a dispatch. */
  readonly us: number;
  /** Weights that a dispatch reads. */
  readonly bytes: number;
  /** From what is shipped, as a share of its norm. */
  readonly difference: number;
}

export interface ProductsReport {
  readonly adapter: AdapterSummary;
  readonly clock: string;
  readonly rows: readonly ProductRow[];
}

/** The result of `bench products`. */
export interface ProductsResult {
  readonly command: 'products';
  readonly host: string;
  readonly layers: number;
  readonly report: ProductsReport;
}

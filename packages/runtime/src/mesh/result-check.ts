import { roundingError, type WireFormat } from './wire-format.ts';

/** Half the distance of neighbouring f32 values around 1. */
const F32_ROUNDING = 2 ** -24;
/**
 * Room for what is not rounding of sums: products of opposite signs that cancel each other, and WGSL's `exp`, which may be
 * off by several units in the last place.
 */
const SLACK = 64;

/**
 * How far two honest results may lie apart, as a share of a row's largest value. Sums of n f32 products in different orders
 * differ by about √n roundings; there are two, over the model's width and over an expert's. The wire rounds on top.
 */
export function resultTolerance(width: number, expertWidth: number, format: WireFormat): number {
  return SLACK * F32_ROUNDING * (Math.sqrt(width) + Math.sqrt(expertWidth)) + 1.01 * roundingError(format);
}

/** What is wrong with a peer's rows, [tokens, width], in view of our own; undefined where nothing is. */
export function difference(rows: Float32Array, own: Float32Array, width: number, tolerance: number): string | undefined {
  for (let first = 0; first < own.length; first += width) {
    let [most, apart] = [0, 0];
    for (let i = first; i < first + width; i++) {
      most = Math.max(most, Math.abs(own[i] ?? 0));
      apart = Math.max(apart, Math.abs((rows[i] ?? 0) - (own[i] ?? 0)));
    }
    if (!(apart <= tolerance * most)) return `gave a result that is off by ${apart.toExponential(1)}, where ${(tolerance * most).toExponential(1)} is allowed`;
  }
  return undefined;
}

export function areFinite(values: Float32Array): boolean {
  return values.every(Number.isFinite);
}

/** Draws which results are checked: about one in `1 / share`, as the seed has it. */
export class CheckDraw {
  #state: number;

  constructor(
    readonly share: number,
    seed: number = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  ) {
    this.#state = seed >>> 0;
  }

  /** SplitMix32. */
  next(): boolean {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32 < this.share;
  }
}

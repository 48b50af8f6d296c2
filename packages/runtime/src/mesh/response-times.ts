/** Answers that are remembered of a peer and a size. */
const WINDOW = 128;
/** Answers before the distribution is believed. */
const FEWEST = 8;
/** How many times its slowest hundredth a peer may take. */
const PATIENCE = 3;

export interface HedgeLimits {
  /** Milliseconds that a peer always has. */
  readonly leastMs: number;
  /** Milliseconds after which nobody waits, and which a peer has that is not known yet. */
  readonly mostMs: number;
}

/** How long a peer takes to answer, by size of the request: steps of one power of two. */
export class ResponseTimes {
  readonly #samples = new Map<number, number[]>();

  constructor(readonly limits: HedgeLimits) {}

  add(tokens: number, ms: number): void {
    const samples = this.#samples.get(sizeClass(tokens)) ?? [];
    samples.push(ms);
    if (samples.length > WINDOW) samples.shift();
    this.#samples.set(sizeClass(tokens), samples);
  }

  /** How long to wait for an answer about so many tokens before somebody else is asked, in ms. */
  hedgeMs(tokens: number): number {
    const { leastMs, mostMs } = this.limits;
    const samples = this.#samples.get(sizeClass(tokens)) ?? [];
    if (samples.length < FEWEST) return mostMs;
    return Math.min(mostMs, Math.max(leastMs, PATIENCE * quantile(samples, 0.99)));
  }
}

function sizeClass(tokens: number): number {
  return Math.ceil(Math.log2(tokens));
}

/** The value below which a share of the samples lies; 0 of none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

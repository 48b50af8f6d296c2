import type { EvictionPolicy } from './policy.ts';

/** Steps after which a use counts half. */
const HALF_LIFE = 32;

/**
 * Frequency of use that fades: LRFU (Lee et al. 2001) with a half-life in steps of the layer. Between LRU, which forgets
 * an expert that pauses for a sentence, and LFU, which keeps the favourites of a subject that is over.
 */
export class LfruPolicy implements EvictionPolicy {
  readonly #uses = new Map<number, { weight: number; step: number }>();
  #step = 0;

  constructor(readonly halfLife = HALF_LIFE) {}

  use(experts: readonly number[]): void {
    this.#step++;
    for (const expert of experts) this.#uses.set(expert, { weight: this.#weight(expert) + 1, step: this.#step });
  }

  victim(candidates: readonly number[]): number {
    const [first, ...others] = candidates;
    if (first === undefined) throw new RangeError('no expert may be evicted');
    let victim = first;
    let least = this.#weight(first);
    for (const expert of others) {
      const weight = this.#weight(expert);
      if (weight < least) [victim, least] = [expert, weight];
    }
    return victim;
  }

  #weight(expert: number): number {
    const use = this.#uses.get(expert);
    return use ? use.weight * 2 ** ((use.step - this.#step) / this.halfLife) : 0;
  }
}

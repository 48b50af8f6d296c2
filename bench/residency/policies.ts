// What our eviction policy is compared with.
import { LfruPolicy } from '../../packages/runtime/src/residency/policy/lfru.ts';
import type { EvictionPolicy } from '../../packages/runtime/src/residency/policy/policy.ts';

function least(candidates: readonly number[], cost: (expert: number) => number): number {
  return candidates.reduce((best, expert) => (cost(expert) < cost(best) ? expert : best));
}

/** Least recently used. */
export class Lru implements EvictionPolicy {
  readonly #last = new Map<number, number>();
  #step = 0;

  use(experts: readonly number[]): void {
    this.#step++;
    for (const expert of experts) this.#last.set(expert, this.#step);
  }

  victim(candidates: readonly number[]): number {
    return least(candidates, (expert) => this.#last.get(expert) ?? 0);
  }
}

/** Least frequently used, over all time. */
export class Lfu implements EvictionPolicy {
  readonly #uses = new Map<number, number>();

  use(experts: readonly number[]): void {
    for (const expert of experts) this.#uses.set(expert, (this.#uses.get(expert) ?? 0) + 1);
  }

  victim(candidates: readonly number[]): number {
    return least(candidates, (expert) => this.#uses.get(expert) ?? 0);
  }
}

/** LFRU that keeps what the next step needs: what foresight of one token is worth. */
export class NextToken extends LfruPolicy {
  #at = 0;

  constructor(readonly steps: readonly (readonly number[])[]) {
    super();
  }

  override use(experts: readonly number[]): void {
    this.#at++;
    super.use(experts);
  }

  override victim(candidates: readonly number[]): number {
    const others = candidates.filter((expert) => !this.steps[this.#at]?.includes(expert));
    return super.victim(others.length > 0 ? others : candidates);
  }
}

/** Belady's optimum: what is needed again last goes first. Knows the future. */
export class Belady implements EvictionPolicy {
  readonly #uses = new Map<number, number[]>();
  #step = 0;

  constructor(steps: readonly (readonly number[])[]) {
    for (const [step, chosen] of steps.entries()) {
      for (const expert of chosen) this.#uses.set(expert, [...(this.#uses.get(expert) ?? []), step]);
    }
  }

  use(): void {
    this.#step++;
  }

  victim(candidates: readonly number[]): number {
    return least(candidates, (expert) => -this.#nextUse(expert));
  }

  #nextUse(expert: number): number {
    const uses = this.#uses.get(expert) ?? [];
    while (uses[0] !== undefined && uses[0] < this.#step) uses.shift();
    return uses[0] ?? Infinity;
  }
}

import { LfruPolicy } from './policy/lfru.ts';
import type { EvictionPolicy } from './policy/policy.ts';

/** The host's picture of one layer's slots: which expert lies where, and since when. */
export class LayerSlots {
  readonly #slots = new Map<number, { readonly slot: number; readonly since: number }>();
  readonly #free: number[];
  /** Experts that never leave. */
  pinned: ReadonlySet<number> = new Set();

  constructor(
    readonly slotCount: number,
    readonly policy: EvictionPolicy = new LfruPolicy(),
  ) {
    this.#free = Array.from({ length: slotCount }, (_, slot) => slotCount - 1 - slot);
  }

  get resident(): readonly number[] {
    return [...this.#slots.keys()];
  }

  /** Experts that can be resident at the same time, whichever they are. */
  get room(): number {
    return this.slotCount - this.pinned.size;
  }

  get free(): number {
    return this.#free.length;
  }

  slotOf(expert: number): number | undefined {
    return this.#slots.get(expert)?.slot;
  }

  /** Whether an expert has been in its slot since a version of the table, or longer. */
  isResident(expert: number, version = Infinity): boolean {
    const held = this.#slots.get(expert);
    return held !== undefined && held.since <= version;
  }

  /** A slot for another expert: a free one, else that of the policy's victim, which leaves. Throws where `keep` and what is pinned need all. */
  take(keep: ReadonlySet<number>): { readonly slot: number; readonly evicted: number | undefined } {
    const free = this.#free.pop();
    if (free !== undefined) return { slot: free, evicted: undefined };
    const evicted = this.policy.victim(this.resident.filter((expert) => !keep.has(expert) && !this.pinned.has(expert)));
    const slot = this.slotOf(evicted) ?? 0;
    this.#slots.delete(evicted);
    return { slot, evicted };
  }

  /** The expert's weights are in the slot; `publish` tells from when on passes see them. */
  put(expert: number, slot: number): void {
    this.#slots.set(expert, { slot, since: Infinity });
  }

  /** The table of this version shows all that was put. */
  publish(version: number): void {
    for (const [expert, { slot, since }] of this.#slots) if (since === Infinity) this.#slots.set(expert, { slot, since: version });
  }

  /** A slot that was taken and got no expert. */
  giveBack(slot: number): void {
    this.#free.push(slot);
  }
}

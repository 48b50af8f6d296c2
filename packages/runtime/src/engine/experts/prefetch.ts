import type { ExpertResidency } from '../../residency/expert-residency.ts';

/** Layers after which gain and cost are compared; what was measured before counts half as much each time. */
const TRIAL = 64;
/** Layers that pass before another try, after prefetching has cost more than it brought. */
const REST = 1024;

/** How well the next layer's choice was foretold, in experts. */
export interface PrefetchCounts {
  /** That layers chose for which there was a prediction, and how many of these it had named. */
  chosen: number;
  foretold: number;
  /** That were fetched before the router had chosen, and how many of these it then chose. */
  fetched: number;
  used: number;
}

/** Experts on their way to a layer whose router has not chosen yet. */
interface Ahead {
  readonly layer: number;
  readonly foretold: readonly number[];
  readonly missing: readonly number[];
  readonly resident: readonly number[];
  readonly started: number;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  ended: number;
}

/**
 * Brings what the next layer's router will probably choose, from host memory and disk, while this layer computes. Nothing
 * else is brought meanwhile: what this layer lacked is there, and the next layer's choice is waited for first. From the
 * network it brings nothing: a layer's time is short beside a round trip, and a wrong guess takes bytes. Weighs the time that came of it against
 * what it took, and rests where that was more.
 */
export class Prefetch {
  readonly counts: PrefetchCounts = { chosen: 0, foretold: 0, fetched: 0, used: 0 };
  #ahead: Ahead | undefined;
  /** Of the time since the last comparisons, in ms. */
  #gain = 0;
  #cost = 0;
  #trial = 0;
  #rest = 0;

  constructor(
    readonly residency: Pick<ExpertResidency, 'missing' | 'resident' | 'isNear' | 'admit'>,
    readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether predictions are of use now. */
  get isOn(): boolean {
    return this.#rest === 0;
  }

  /** Begins to bring what a layer will probably choose; `settle` must follow before anything else is brought. */
  start(layer: number, foretold: readonly number[]): void {
    const near = foretold.filter((expert) => this.residency.isNear(layer, expert));
    const missing = this.residency.missing(layer, near);
    const stop = new AbortController();
    const resident = this.residency.resident(layer);
    const started = this.now();
    const bringing = missing.length > 0 ? this.residency.admit(layer, near, { signal: stop.signal }) : Promise.resolve();
    // What cannot be had is told where it is needed.
    const done = bringing.catch(() => {}).then(() => void (ahead.ended = this.now()));
    const ahead: Ahead = { layer, foretold, missing, resident, started, stop, done, ended: Infinity };
    this.#ahead = ahead;
  }

  /** The layer has chosen: waits for what is on its way, where some of that is needed. Returns whether the layer lacked experts before. */
  async settle(layer: number, chosen: readonly number[]): Promise<boolean> {
    if (this.#rest > 0) this.#rest--;
    const ahead = this.#ahead;
    if (ahead?.layer !== layer) {
      await this.stop();
      return this.residency.missing(layer, chosen).length > 0;
    }
    this.#ahead = undefined;
    const { counts } = this;
    const used = ahead.missing.filter((expert) => chosen.includes(expert));
    counts.chosen += chosen.length;
    counts.foretold += chosen.filter((expert) => ahead.foretold.includes(expert)).length;
    counts.fetched += ahead.missing.length;
    counts.used += used.length;
    const asked = this.now();
    if (used.length === 0) ahead.stop.abort();
    await ahead.done;
    this.#weigh(ahead, used.length, asked, this.residency.missing(layer, ahead.resident.filter((expert) => chosen.includes(expert))).length);
    return used.length > 0 || this.residency.missing(layer, chosen).length > 0;
  }

  /** Gives up what is on its way. */
  async stop(): Promise<void> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    ahead?.stop.abort();
    await ahead?.done;
  }

  /** @param lost experts that are needed, and had to leave for others */
  #weigh({ missing, started, ended }: Ahead, used: number, asked: number, lost: number): void {
    if (missing.length === 0) return;
    const each = (ended - started) / missing.length;
    // What is brought one by one is waited for in any case where it is needed; the rest of the wait is in vain.
    const waited = Math.max(0, ended - asked);
    this.#gain += Math.min(used * each, Math.max(0, asked - started));
    this.#cost += Math.max(0, waited - used * each) + lost * each;
    if (++this.#trial < TRIAL) return;
    if (this.#cost > this.#gain) this.#rest = REST;
    this.#trial = 0;
    this.#gain /= 2;
    this.#cost /= 2;
  }
}

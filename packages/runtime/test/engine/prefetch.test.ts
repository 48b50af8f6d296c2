import { beforeEach, expect, it } from 'vitest';
import { Prefetch } from '../../src/engine/experts/prefetch.ts';

/** One layer's slots, and a clock that only loading moves. */
class Slots {
  readonly here = new Set<number>();
  readonly admitted: number[][] = [];
  time = 0;
  /** Begins each load; `arrive` ends it. */
  arrive: (() => void) | undefined;

  missing(_layer: number, experts: readonly number[]): number[] {
    return experts.filter((expert) => !this.here.has(expert));
  }

  /** Experts that only the network has. */
  readonly far = new Set<number>();

  isNear(_layer: number, expert: number): boolean {
    return !this.far.has(expert);
  }

  resident(): number[] {
    return [...this.here];
  }

  async admit(layer: number, experts: readonly number[], { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const missing = this.missing(layer, experts);
    this.admitted.push(missing);
    await new Promise<void>((resolve, reject) => {
      this.arrive = resolve;
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
    for (const expert of missing) this.here.add(expert);
  }
}

let slots: Slots;
let prefetch: Prefetch;
beforeEach(() => {
  slots = new Slots();
  prefetch = new Prefetch(slots, () => slots.time);
});

/** A layer that chooses `chosen` where `foretold` was foretold: 10 ms pass until it does, and loads end `late` ms after that. */
async function step(foretold: readonly number[], chosen: readonly number[], late = 0): Promise<boolean> {
  slots.here.clear();
  prefetch.start(1, foretold);
  slots.time += 10;
  const settled = prefetch.settle(1, chosen);
  slots.time += late;
  slots.arrive?.();
  return settled;
}

it('brings what is foretold and not there, and counts what of it was right', async () => {
  expect(await step([3, 5], [5, 7])).toBe(true);
  expect(slots.admitted).toEqual([[3, 5]]);
  expect(slots.resident()).toEqual([3, 5]);
  expect(prefetch.counts).toEqual({ chosen: 2, foretold: 1, fetched: 2, used: 1 });
});

it('brings nothing from the network', async () => {
  slots.far.add(3);
  expect(await step([3, 5], [3, 5])).toBe(true);
  expect(slots.admitted).toEqual([[5]]);
  expect(prefetch.counts).toEqual({ chosen: 2, foretold: 2, fetched: 1, used: 1 });
});

it('brings nothing where all is there', async () => {
  slots.here.add(3);
  prefetch.start(1, [3]);
  expect(await prefetch.settle(1, [3])).toBe(false);
  expect(slots.admitted).toEqual([]);
});

it('gives up what the layer does not need', async () => {
  slots.here.clear();
  prefetch.start(1, [3]);
  // No load ends here, and still it is settled.
  expect(await prefetch.settle(1, [4])).toBe(true);
  expect(slots.resident()).toEqual([]);
});

it('gives up at the end of a run, and where another layer comes', async () => {
  prefetch.start(1, [3]);
  await prefetch.stop();
  prefetch.start(2, [3]);
  expect(await prefetch.settle(1, [3])).toBe(true);
  expect(slots.resident()).toEqual([]);
});

it('goes on while it brings more time than it costs', async () => {
  for (let i = 0; i < 300; i++) await step([3, 5], [3, 5]);
  expect(prefetch.isOn).toBe(true);
});

it('rests where it costs more than it brings, and tries again later', async () => {
  let steps = 0;
  // Half of it is right, but what is wrong is waited for as well, and for long.
  while (prefetch.isOn) {
    await step([3, 5, 6, 7], [3], 90);
    if (++steps > 200) throw new Error('still on');
  }
  for (steps = 0; !prefetch.isOn; steps++) await prefetch.settle(1, [3]);
  expect(steps).toBeGreaterThan(500);
});

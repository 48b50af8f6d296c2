import { setTimeout } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';

/** What one run cost. */
interface Cost {
  readonly milliseconds: number;
  /** Bytes that the heap and array buffers grew by; below zero where garbage was collected meanwhile. */
  readonly bytes: number;
}

const allocated = (): number => {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
};

/** Runs something that does not wait for anything outside, and measures it. */
export async function measure(run: () => Promise<void>): Promise<Cost> {
  const before = allocated();
  const start = performance.now();
  await run();
  return { milliseconds: performance.now() - start, bytes: allocated() - before };
}

/**
 * Runs again, up to twenty times, while more than `limit` was used. The work is the same each time, so the least seen is
 * nearest to its own cost; the rest is the compiler's, the collector's and the machine's. The compiler works beside us
 * and allocates in the same heap, for long on a busy machine: each run waits longer for it to be done.
 */
export async function leastCost(run: () => Promise<void>, limit: Cost): Promise<Cost> {
  let least = await measure(run);
  for (let again = 0; again < 20 && (least.bytes > limit.bytes || least.milliseconds > limit.milliseconds); again++) {
    await setTimeout(again * 10);
    const { milliseconds, bytes } = await measure(run);
    least = { milliseconds: Math.min(least.milliseconds, milliseconds), bytes: bytes < 0 ? least.bytes : Math.min(least.bytes, bytes) };
  }
  return least;
}

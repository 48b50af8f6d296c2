import { getHeapStatistics } from 'node:v8';

/** What one run cost. */
export interface Cost {
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
 * Runs again, up to ten times, while more than `bound` bytes were allocated. The work is the same each time, so the
 * least growth seen is nearest to its own; the rest is the compiler's and the collector's.
 */
export async function leastCost(run: () => Promise<void>, bound: number): Promise<Cost> {
  let least = await measure(run);
  for (let again = 0; again < 10 && least.bytes > bound; again++) {
    const cost = await measure(run);
    if (cost.bytes >= 0 && cost.bytes < least.bytes) least = cost;
  }
  return least;
}

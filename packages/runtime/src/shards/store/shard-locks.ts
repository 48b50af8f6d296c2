/** Keeps a lock until this settles. */
export type Hold = (until: Promise<unknown>) => void;

/**
 * Runs `work` while no other tab works under any of these names (Web Locks); at once where there are none. Locks are
 * taken in one order everywhere, so that two tabs never wait for each other. Throws what `work` throws, and the
 * signal's reason.
 */
export function withLocks<T>(names: readonly string[], signal: AbortSignal, work: (hold: Hold) => Promise<T>): Promise<T> {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (!locks) return work(() => {});
  return new Promise((resolve, reject) => {
    const held: Promise<unknown>[] = [];
    const run = async () => {
      const done = work((until) => held.push(until));
      done.then(resolve, reject);
      await done.catch(() => {});
      await Promise.allSettled(held);
    };
    const take = async ([name, ...others]: readonly string[]): Promise<void> => {
      if (name === undefined) await run();
      else await locks.request(name, { signal }, () => take(others));
    };
    take(names.toSorted()).catch(reject);
  });
}

/** A result, or why there is none yet: a failure is told of at once. */
export async function inTime<T>(asked: Promise<T>, ms: number): Promise<T | 'late' | 'failed'> {
  let stopWaiting = () => {};
  const late = new Promise<'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), ms);
    stopWaiting = () => clearTimeout(timer);
  });
  const first = await Promise.race([asked.catch(() => 'failed' as const), late]);
  stopWaiting();
  return first;
}

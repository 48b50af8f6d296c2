/** Slack of a timer, and what results that lie in the queue need to get out of it, in ms. */
const GRACE_MS = 50;

/**
 * A result, or why there is none yet: a failure is told of at once. A timer that goes off as late again as it was to wait
 * says that this tab stood still: it slept, was frozen, or its timers are throttled. Results that came meanwhile lie in
 * the queue, and are let out first.
 */
export async function inTime<T>(asked: Promise<T>, ms: number): Promise<T | 'late' | 'failed'> {
  const begun = performance.now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'late'>((resolve) => {
    const end = () => resolve('late');
    timer = setTimeout(() => {
      if (performance.now() - begun <= 2 * ms + GRACE_MS) end();
      else timer = setTimeout(end, GRACE_MS);
    }, ms);
  });
  const first = await Promise.race([asked.catch(() => 'failed' as const), late]);
  clearTimeout(timer);
  return first;
}

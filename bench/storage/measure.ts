import type { StorageJob, StorageReport } from './types.ts';

/** Runs one measurement in a worker of its own, which finds it in its name. */
export function measureStorage(job: StorageJob): Promise<StorageReport> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: JSON.stringify(job) });
  const answer = new Promise<StorageReport>((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<StorageReport | { readonly error: string }>) => ('error' in data ? reject(new Error(data.error)) : resolve(data)));
    worker.addEventListener('error', ({ message }) => reject(new Error(message)));
  });
  return answer.finally(() => worker.terminate());
}

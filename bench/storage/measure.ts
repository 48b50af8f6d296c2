import type { StorageJob, StoragePart, StorageReport } from './types.ts';

/** Runs one measurement, by workers of its own; until the last of them is done. */
export async function measureStorage({ shards, threads, ...job }: StorageJob): Promise<StorageReport> {
  const from = (thread: number) => Math.round((shards * thread) / threads);
  const parts = Array.from({ length: threads }, (_, thread) => runPart({ ...job, first: from(thread), count: from(thread + 1) - from(thread) }));
  return { ms: Math.max(...(await Promise.all(parts)).map(({ ms }) => ms)) };
}

/** A worker finds its part in its name. */
function runPart(part: StoragePart): Promise<StorageReport> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: JSON.stringify(part) });
  const answer = new Promise<StorageReport>((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<StorageReport | { readonly error: string }>) => ('error' in data ? reject(new Error(data.error)) : resolve(data)));
    worker.addEventListener('error', ({ message }) => reject(new Error(message)));
  });
  return answer.finally(() => worker.terminate());
}

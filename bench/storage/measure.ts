import { wrap } from 'comlink';
import type { StorageService } from './worker.ts';
import type { StorageJob, StorageReport } from './types.ts';

/** Runs one measurement in a worker of its own. */
export async function measureStorage(job: StorageJob): Promise<StorageReport> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  try {
    return await wrap<StorageService>(worker).measure(job);
  } finally {
    worker.terminate();
  }
}

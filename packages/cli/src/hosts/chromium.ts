import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from './host.ts';
import { openJobPage } from './job-page.ts';

/** Runs jobs in a page of headless Chromium. Honours CHROME_PATH and CHROME_ARGS. */
export async function chromiumHost(): Promise<Host> {
  const { run, server, close } = await openJobPage({ root: join(dirname(fileURLToPath(import.meta.url)), '../page') });
  return {
    run: (job, emit, deliver) => run('model' in job && !/^https?:/.test(job.model) ? { ...job, model: server.urlOf(job.model) } : job, emit, deliver),
    close,
  };
}

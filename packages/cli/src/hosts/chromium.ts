import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { chromiumArgs, findChromium } from '../../../../scripts/browser.mjs';
import type { JobEvent, JobReport } from '../job/types.ts';
import { serveFiles } from './file-server.ts';
import { JobError, type Host } from './host.ts';

/** Runs jobs in a page of headless Chromium. Honours CHROME_PATH and CHROME_ARGS. */
export async function chromiumHost(): Promise<Host> {
  let deliver: (bytes: Uint8Array) => Promise<void> = async () => {};
  const pageRoot = join(dirname(fileURLToPath(import.meta.url)), '../page');
  const server = await serveFiles(pageRoot, (bytes) => deliver(bytes));
  const browser = await chromium.launch({ executablePath: await findChromium(), args: chromiumArgs(), headless: true });
  const page = await browser.newPage();
  const crashed = new Promise<never>((_, reject) => {
    page.on('crash', () => reject(new JobError('page-crashed', 'The page crashed: most likely out of memory.')));
    browser.on('disconnected', () => reject(new JobError('browser-gone', 'Chromium ended unexpectedly.')));
  });
  crashed.catch(() => {});
  let emit: (event: JobEvent) => void = () => {};
  await page.exposeFunction('gatefoldEvent', (event: JobEvent) => emit(event));
  await page.goto(server.origin);
  await page.waitForFunction(() => typeof window.gatefoldRun === 'function');
  return {
    async run(job, onEvent, onDeliver): Promise<JobReport> {
      emit = onEvent;
      deliver = onDeliver;
      const local = 'model' in job && !/^https?:/.test(job.model) ? { ...job, model: server.urlOf(job.model) } : job;
      const outcome = await Promise.race([page.evaluate((given) => window.gatefoldRun(given), local), crashed]);
      if ('error' in outcome) throw new JobError(outcome.error.code, outcome.error.message);
      return outcome.report;
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

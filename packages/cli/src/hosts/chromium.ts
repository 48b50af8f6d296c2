import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromiumArgs } from '../../../../scripts/browser.mjs';
import type { Job, JobEvent, Reports } from '../job/types.ts';
import { mayHaveGpu } from './graphics.ts';
import { JobError, type Host, type JobObserver } from './host.ts';
import { openJobBrowser, type JobPage } from './job-page.ts';
import { isUrl } from './locate-model.ts';
import { runRoom } from './room.ts';

/**
 * Runs jobs in a page of headless Chromium: on the GPU, or where there is none on SwiftShader. Honours CHROME_PATH,
 * CHROME_ARGS and GATEFOLD_GPU.
 */
export async function chromiumHost(): Promise<Host> {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../page');
  // A command may read from any server, as Node may: CORS is about pages of others, and this one is our own.
  const args = [...chromiumArgs({ ...process.env, GATEFOLD_GPU: mayHaveGpu() ? 'real' : 'software' }), '--disable-web-security'];
  const browser = await openJobBrowser({ root, args, ownSignals: true });
  const { server, close } = browser;
  let first: JobPage;
  try {
    first = await browser.open();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    close,
    async run<Command extends Job['command']>(job: Extract<Job, { readonly command: Command }>, { emit, deliver, signal }: JobObserver): Promise<Reports[Command]> {
      signal.throwIfAborted();
      const path = 'model' in job && !isUrl(job.model) ? job.model : undefined;
      const url = path === undefined ? undefined : server.urlOf(path);
      const given: Job = url === undefined ? job : { ...job, model: url };
      const report: Promise<Reports[Command]> = given.command === 'generate' && given.room ? runRoom(browser, first, given, given.room, emit) : first.run<Job, JobEvent, Reports[Command]>(given, emit, deliver);
      try {
        return await Promise.race([report, rejectionBy(signal)]);
      } catch (error) {
        // People know the file by its path.
        if (error instanceof JobError && path !== undefined && url !== undefined) {
          throw new JobError(error.code, error.message.replaceAll(new URL('.', url).href, dirname(path) + sep), { cause: error });
        }
        throw error;
      }
    },
  };
}

/** Rejects with the signal's reason when it aborts. */
function rejectionBy(signal: AbortSignal): Promise<never> {
  const rejection = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  rejection.catch(() => {});
  return rejection;
}

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright';
import { chromiumArgs, findChromium } from '../../../../scripts/browser.mjs';
import { serveFiles, type FileServer } from './file-server.ts';
import { JobError } from './host.ts';

/** How a page answers a job: with its report, or with the fields of the error. */
export type JobOutcome<Report> = { readonly report: Report } | { readonly error: { readonly code: string; readonly message: string } };

export interface JobPageOptions {
  /** Folder of the built page, which defines `window.gatefoldRun(job)` and calls `window.gatefoldEvent(event)`. */
  readonly root: string;
  /** Response headers for everything that is served. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Folder for a profile, so that storage lies on the disk; without it the browser keeps storage in memory. */
  readonly profile?: string;
}

/** A page of headless Chromium that runs jobs. Honours CHROME_PATH and CHROME_ARGS. */
export interface JobPage {
  readonly page: Page;
  readonly server: FileServer;
  /** One job at a time. Throws `JobError`. */
  run<Job, Event, Report>(job: Job, emit: (event: Event) => void, deliver?: (bytes: Uint8Array) => Promise<void>): Promise<Report>;
  close(): Promise<void>;
}

export async function openJobPage({ root, headers, profile }: JobPageOptions): Promise<JobPage> {
  let deliver: (bytes: Uint8Array) => Promise<void> = async () => {};
  let emit: (event: never) => void = () => {};
  const server = await serveFiles(root, (bytes) => deliver(bytes), headers);
  const browser = await launch(profile);
  const page = await browser.newPage();
  const crashed = new Promise<never>((_, reject) => {
    page.on('crash', () => reject(new JobError('page-crashed', 'The page crashed: most likely out of memory.')));
    page.on('close', () => reject(new JobError('browser-gone', 'Chromium ended unexpectedly.')));
  });
  crashed.catch(() => {});
  await page.exposeFunction('gatefoldEvent', (event: never) => emit(event));
  await page.goto(server.origin);
  await page.waitForFunction(() => 'gatefoldRun' in window);
  return {
    page,
    server,
    async run<Job, Event, Report>(job: Job, onEvent: (event: Event) => void, onDeliver?: (bytes: Uint8Array) => Promise<void>): Promise<Report> {
      emit = onEvent;
      deliver = onDeliver ?? (async () => {});
      const answer = page.evaluate((given) => (window as unknown as { gatefoldRun(job: unknown): Promise<unknown> }).gatefoldRun(given), job);
      const outcome = (await Promise.race([answer, crashed])) as JobOutcome<Report>;
      if ('error' in outcome) throw new JobError(outcome.error.code, outcome.error.message);
      return outcome.report;
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

async function launch(profile: string | undefined): Promise<Browser | BrowserContext> {
  const options = { executablePath: await findChromium(), args: chromiumArgs(), headless: true };
  return profile === undefined ? chromium.launch(options) : chromium.launchPersistentContext(profile, options);
}

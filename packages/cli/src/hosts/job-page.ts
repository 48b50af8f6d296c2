import { chromium, type Browser, type BrowserContext, type Page } from 'playwright';
import { chromiumArgs, findChromium } from '../../../../scripts/browser.mjs';
import type { JobOutcome } from '../job/types.ts';
import { serveFiles, type FileServer } from './file-server.ts';
import { JobError } from './host.ts';

export interface JobPageOptions {
  /** Folder of the built page, which defines `window.gatefoldRun(job)` and calls `window.gatefoldEvent(event)`. */
  readonly root: string;
  /** Response headers for everything that is served. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Folder for a profile, so that storage lies on the disk; without it the browser keeps storage in memory. */
  readonly profile?: string;
  /** The browser's command line; default: `chromiumArgs()`. */
  readonly args?: readonly string[];
  /** The caller closes the page on SIGINT, SIGTERM and SIGHUP itself; by default the process ends with the browser. */
  readonly ownSignals?: boolean;
}

/** A page of headless Chromium that runs jobs. Honours CHROME_PATH and CHROME_ARGS. */
export interface JobPage {
  readonly page: Page;
  /** One job at a time. Throws `JobError`. */
  run<Job, Event, Report>(job: Job, emit: (event: Event) => void, deliver?: (bytes: Uint8Array) => Promise<void>): Promise<Report>;
}

/** A browser and the server of its pages. */
export interface JobBrowser {
  readonly server: FileServer;
  open(): Promise<JobPage>;
  close(): Promise<void>;
}

/** One page, with a browser of its own. */
export async function openJobPage(options: JobPageOptions): Promise<JobPage & Omit<JobBrowser, 'open'>> {
  const browser = await openJobBrowser(options);
  const { server, close } = browser;
  try {
    return { ...(await browser.open()), server, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function openJobBrowser(options: JobPageOptions): Promise<JobBrowser> {
  let deliver: (bytes: Uint8Array) => Promise<void> = async () => {};
  const server = await serveFiles(options.root, (bytes) => deliver(bytes), options.headers);
  let browser: Browser | BrowserContext | undefined;
  const close = async () => {
    await browser?.close();
    await server.close();
  };
  const open = async (): Promise<JobPage> => {
    browser ??= await launchChromium(options);
    const page = await browser.newPage();
    let emit: (event: never) => void = () => {};
    await page.exposeFunction('gatefoldEvent', (event: never) => emit(event));
    await page.goto(server.origin);
    await page.waitForFunction(() => 'gatefoldRun' in window);
    const crashed = new Promise<never>((_, reject) => {
      page.on('crash', () => reject(new JobError('page-crashed', 'The page crashed: most likely out of memory.')));
      page.on('close', () => reject(new JobError('browser-gone', 'Chromium ended unexpectedly.')));
    });
    crashed.catch(() => {});
    return {
      page,
      async run<Job, Event, Report>(job: Job, onEvent: (event: Event) => void, onDeliver?: (bytes: Uint8Array) => Promise<void>): Promise<Report> {
        emit = onEvent;
        if (onDeliver) deliver = onDeliver;
        const answer = page.evaluate((given) => (window as unknown as { gatefoldRun(job: unknown): Promise<unknown> }).gatefoldRun(given), job);
        // It ends with the page, which may close while nobody waits.
        answer.catch(() => {});
        const outcome = (await Promise.race([answer, crashed])) as JobOutcome<Report>;
        if ('error' in outcome) throw JobError.of(outcome.error);
        return outcome.report;
      },
    };
  };
  return { server, open, close };
}

/** Headless Chromium, by default with WebGPU on a CPU adapter. Throws `JobError` 'no-browser'. */
export async function launchChromium({ profile, args = chromiumArgs(), ownSignals = false }: Omit<JobPageOptions, 'root' | 'headers'>): Promise<Browser | BrowserContext> {
  const executablePath = await findChromium().catch((cause: unknown) => {
    throw new JobError('no-browser', messageOf(cause), { cause });
  });
  const signals = { handleSIGINT: !ownSignals, handleSIGTERM: !ownSignals, handleSIGHUP: !ownSignals };
  const options = { executablePath, args: [...args], headless: true, ...signals };
  try {
    return await (profile === undefined ? chromium.launch(options) : chromium.launchPersistentContext(profile, options));
  } catch (cause) {
    // The rest is the browser's log.
    const [problem = ''] = messageOf(cause).split('\n');
    throw new JobError('no-browser', `Chromium (${executablePath}) did not start: ${problem}. Check CHROME_PATH and CHROME_ARGS.`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

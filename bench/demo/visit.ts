import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchChromium } from '../../packages/cli/src/hosts/job-page.ts';

/** What a visitor asks for. */
export interface Question {
  /** Place in the page's picker, the default model first. */
  readonly model: number;
  readonly text: string;
  readonly maxTokens: number;
  readonly seed: number;
}

export interface Visit {
  /** The page's name of the adapter. */
  readonly adapter: string;
  /** Until a question can be asked; like all times from the start of navigation, or from the choice of another model. */
  readonly readyMs: number;
  readonly firstTokenMs: number;
  /** When each token appeared on the page. */
  readonly tokenMs: readonly number[];
}

/** Opens the page in a browser with a fresh profile and asks as soon as that is possible: nothing is cached or compiled. */
export async function visit(url: string, question: Question): Promise<Visit> {
  const profile = await mkdtemp(join(tmpdir(), 'gatefold-visit-'));
  const browser = await launchChromium({ profile });
  try {
    const page = await browser.newPage();
    await page.goto(url, { waitUntil: 'commit' });
    return await page.evaluate(ask, question);
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Runs in the page, so it refers to nothing outside itself. */
async function ask({ model, text, maxTokens, seed }: Question): Promise<Visit> {
  const until = async (ready: () => boolean) => {
    while (!ready()) {
      const error = document.querySelector('#error:not([hidden])')?.textContent;
      if (error) throw new Error(error);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    return performance.now();
  };
  const field = (id: string) => document.querySelector<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement | HTMLButtonElement>(`#${id}`);
  const fill = (id: string, value: string) => {
    const found = field(id);
    if (found) found.value = value;
  };
  const usable = () => field('send')?.disabled === false;
  let start = 0;
  if (model > 0) {
    // The default model is on its way by then, and is given up.
    start = await until(() => document.querySelectorAll('#model option').length > model);
    const picker = document.querySelector<HTMLSelectElement>('#model');
    if (picker) picker.selectedIndex = model;
    picker?.dispatchEvent(new Event('change'));
  }
  const ready = await until(usable);
  const tokenMs: number[] = [];
  new MutationObserver((changes) => {
    const added = changes.flatMap(({ addedNodes }) => [...addedNodes]).filter((node) => node instanceof HTMLElement && node.classList.contains('token'));
    for (const _ of added) tokenMs.push(performance.now() - start);
  }).observe(document.body, { childList: true, subtree: true });
  fill('max-tokens', String(maxTokens));
  fill('seed', String(seed));
  fill('prompt', text);
  field('send')?.click();
  await until(() => tokenMs.length > 0);
  await until(usable);
  return { adapter: document.querySelector('#adapter')?.textContent ?? '', readyMs: ready - start, firstTokenMs: tokenMs[0] ?? NaN, tokenMs };
}

import { launch, type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { findFirefox, findLlvmpipeIcd } from '../../scripts/firefox.mjs';
import { inCi } from '../../scripts/install.mjs';
import type { ServedPages } from '../pages/serve.ts';

/** Longest wait for one thing: a CPU compiles every shader, and may have other work. */
const PATIENCE_MS = 600_000;

/** Pages on a server, and a Firefox to open them. */
export interface FirefoxPages {
  readonly server: ServedPages;
  readonly browser: Browser;
}

/**
 * Tests that open pages in a headless Firefox whose WebGPU (wgpu, Naga) computes on llvmpipe. Where the machine lacks
 * either, they are skipped with the reason, or fail where CI is true.
 * @param define defines the tests; it gets what gives them the pages while they run
 */
export function describeFirefox(name: string, serve: () => Promise<ServedPages>, define: (pages: () => FirefoxPages) => void): void {
  const firefox = findFirefox();
  const llvmpipe = findLlvmpipeIcd();
  if (!inCi && !(firefox && llvmpipe)) {
    const missing = firefox ? "Mesa's CPU Vulkan driver (Debian: mesa-vulkan-drivers)" : 'Firefox (Debian: firefox-esr; or set FIREFOX_PATH)';
    describe.skip(`${name}, skipped: there is no ${missing}`, () => it('any', () => {}));
    return;
  }
  describe(name, { timeout: 2 * PATIENCE_MS }, () => {
    let pages: FirefoxPages | undefined;
    beforeAll(async () => {
      const server = await serve();
      pages = { server, browser: await openFirefox(firefox, llvmpipe) };
    }, PATIENCE_MS);
    afterAll(async () => {
      await pages?.browser.close();
      await pages?.server.close();
    }, PATIENCE_MS);

    define(() => {
      if (!pages) throw new Error('the pages are there only while tests run');
      return pages;
    });
  });
}

/** A Firefox with a fresh profile. */
function openFirefox(executablePath: string | undefined, llvmpipe: string | undefined): Promise<Browser> {
  if (!executablePath || !llvmpipe) throw new Error(`Firefox: ${executablePath ?? 'none'}, llvmpipe: ${llvmpipe ?? 'none'}; both are needed.`);
  return launch({
    browser: 'firefox',
    executablePath,
    env: { ...process.env, VK_ICD_FILENAMES: llvmpipe },
    extraPrefsFirefox: { 'dom.webgpu.enabled': true, 'dom.webgpu.workers.enabled': true, 'gfx.webgpu.ignore-blocklist': true },
    timeout: PATIENCE_MS,
    protocolTimeout: PATIENCE_MS,
  });
}

/** Waits until a condition holds in the page. @param given the condition's argument, sent to the page */
export async function waitFor(page: Page, condition: (given: number) => boolean, given = 0): Promise<void> {
  await page.waitForFunction(condition, { timeout: PATIENCE_MS }, given);
}

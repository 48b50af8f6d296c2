// The demo as a visitor with Firefox meets it: worker, storage and wgpu's shader compiler included.
import type { Page } from 'puppeteer-core';
import { expect, it } from 'vitest';
import { serveDemo } from '../pages/serve.ts';
import { describeFirefox, waitFor, type FirefoxPages } from './firefox.ts';

describeFirefox('the demo in Firefox', serveDemo, (pages) => {
  it('loads the embedded model and answers', async () => {
    const page = await openDemo(pages());
    await page.click('input[value=complete]');
    await page.click('.sampling summary');
    await fill(page, '#max-tokens', '12');
    // As the page samples by itself, then greedily: the same answer every time.
    expect(await answer(page, 'Hello')).toBeGreaterThan(0);
    await fill(page, '#temperature', '0');
    expect(await answer(page, 'Once upon a time')).toBeGreaterThanOrEqual(8);
    await page.close();
  });

  it('reads the model from its storage the second time', async () => {
    const { server } = pages();
    const fetches = () => server.requests.filter((path) => path.endsWith('.gguf')).length;
    await (await openDemo(pages())).close();
    const before = fetches();
    await (await openDemo(pages())).close();
    expect(before).toBeGreaterThan(0);
    expect(fetches()).toBe(before);
  });
});

/** Opens the demo in a tab of its own; its model is ready. */
async function openDemo({ browser, server }: FirefoxPages): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(server.url);
  await waitFor(page, () => document.documentElement.dataset['readyMs'] !== undefined || document.querySelector('#error:not([hidden])') !== null);
  expect(await shownError(page)).toBe('');
  return page;
}

/** Sends a prompt and waits for the end of the answer. Gives its number of tokens. */
async function answer(page: Page, prompt: string): Promise<number> {
  const before = (await page.$$('.message')).length;
  await fill(page, '#prompt', prompt);
  await page.click('#send');
  await waitFor(page, (messages) => document.querySelectorAll('.message:not(.writing)').length > messages, before);
  expect(await shownError(page)).toBe('');
  return (await page.$$('.message:last-child .token')).length;
}

async function shownError(page: Page): Promise<string | null> {
  return page.$eval('#error', (error) => error.textContent);
}

async function fill(page: Page, selector: string, text: string): Promise<void> {
  await page.locator(selector).fill(text);
}

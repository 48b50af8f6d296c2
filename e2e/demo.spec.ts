// The demo page as a visitor meets it: the embedded model loads, answers, stops, and comes back without a network.
import { expect, test, type Page } from 'playwright/test';

/** The first start compiles every shader on a CPU adapter. */
const READY = { timeout: 240_000 };

async function opened(page: Page): Promise<void> {
  await page.goto('/');
  await modelReady(page);
}

async function modelReady(page: Page): Promise<void> {
  await expect(page.locator('#send')).toBeEnabled(READY);
  await expect(page.locator('#error')).toBeHidden();
}

async function ask(page: Page, text: string, maxTokens: number): Promise<void> {
  await page.locator('.sampling summary').click();
  await page.locator('#max-tokens').fill(String(maxTokens));
  // The same answer every time.
  await page.locator('#seed').fill('7');
  await page.locator('#prompt').fill(text);
  await page.locator('#prompt').press('Enter');
}

test('the embedded model answers, and the picture shows what the router chose', async ({ page }) => {
  await opened(page);
  await ask(page, 'Hello', 12);
  await expect(page.locator('#stop')).toBeHidden(READY);
  await expect(page.locator('#error')).toBeHidden();
  const tokens = page.locator('.token');
  expect(await tokens.count()).toBeGreaterThan(0);
  await expect(page.locator('#decode-rate')).toContainText('tok/s');
  await expect(page.locator('#memory')).toContainText('MB');
  await page.locator('#log').press('ArrowRight');
  await expect(page.locator('#heat-caption')).toContainText('layer: experts');
});

test('the second model is one choice away: a pyramid of experts', async ({ page }) => {
  await page.goto('/');
  await page.locator('#model').selectOption({ index: 1 });
  await expect(page.locator('#log')).toHaveAttribute('data-hint', /4 to 8 experts a layer/, READY);
  await modelReady(page);
  await ask(page, 'Hello', 12);
  await expect(page.locator('#stop')).toBeHidden(READY);
  await expect(page.locator('#error')).toBeHidden();
  await page.locator('#log').press('ArrowRight');
  await expect(page.locator('#heat-caption')).toContainText('layer: experts');
});

test('the stop button ends an answer and keeps what is there', async ({ page }) => {
  await opened(page);
  await page.getByLabel('Complete text').check();
  await ask(page, 'Once upon a time', 2000);
  await expect(page.locator('.token').first()).toBeVisible(READY);
  await page.locator('#stop').click();
  await expect(page.locator('#stop')).toBeHidden(READY);
  expect(await page.locator('.token').count()).toBeLessThan(2000);
  await expect(page.locator('#send')).toBeEnabled();
  await expect(page.locator('#error')).toBeHidden();
});

test('the second start needs no network: page, header and every shard are kept', async ({ page, context }) => {
  await opened(page);
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  await context.setOffline(true);
  const requests: string[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('.gguf')) requests.push(request.url());
  });
  await page.reload();
  await modelReady(page);
  await ask(page, 'Hello', 4);
  await expect(page.locator('.token').first()).toBeVisible(READY);
  await expect(page.locator('#error')).toBeHidden();
  expect(requests).toEqual([]);
  await context.setOffline(false);
});

test('an address that holds no model gives an error that names it', async ({ page }) => {
  await page.goto('/');
  await page.locator('#model').selectOption('url');
  await page.locator('#url').fill(new URL('/no-such-model.gguf', page.url()).href);
  await page.locator('#open-url').click();
  await expect(page.locator('#error')).toContainText('no-such-model.gguf', READY);
});

test("the page's own thread has little to do while a model loads and writes", async ({ page, context }) => {
  // Its processor time, not the clock's: other work on the machine does not count.
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  await page.goto('/');
  await modelReady(page);
  await ask(page, 'Hello', 30);
  await expect(page.locator('#stop')).toBeHidden(READY);
  const { metrics } = await session.send('Performance.getMetrics');
  const seconds = metrics.find(({ name }) => name === 'TaskDuration')?.value;
  console.log(`the page's thread: ${seconds?.toFixed(2)} s`);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(2);
});

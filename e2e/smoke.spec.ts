import { expect, test } from 'playwright/test';

test('the page comes up and finds a WebGPU adapter', async ({ page }) => {
  await page.goto('/');
  await expect(page).toHaveTitle('Gatefold');
  const found = await page.evaluate(async () => (await navigator.gpu.requestAdapter()) !== null);
  expect(found).toBe(true);
});

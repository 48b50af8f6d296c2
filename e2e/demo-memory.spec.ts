// The demo's memory controls: experts on demand in a budget, download for offline, forgetting a model.
import { expect, test } from 'playwright/test';

/** The first start compiles every shader on a CPU adapter. */
const READY = { timeout: 240_000 };

test('a model in half its memory answers, comes whole to the device, and is forgotten', async ({ page }) => {
  await page.goto('/');
  await expect(page.locator('#send')).toBeEnabled(READY);
  await page.locator('#forget').click();
  await expect(page.locator('#storage-text')).toContainText('no longer kept');
  await page.locator('#on-demand').check();
  await expect(page.locator('#budget-shown')).toHaveText('50% of the experts on the GPU');
  await expect(page.locator('#send')).toBeDisabled();
  await expect(page.locator('#send')).toBeEnabled(READY);
  await expect(page.locator('#places')).toBeVisible();
  await page.locator('.sampling summary').click();
  await page.locator('#max-tokens').fill('6');
  await page.locator('#prompt').fill('Hello');
  await page.locator('#prompt').press('Enter');
  await expect(page.locator('.token').first()).toBeVisible(READY);
  await expect(page.locator('#stop')).toBeHidden(READY);
  await expect(page.locator('#error')).toBeHidden();
  await expect(page.locator('#hit-rate')).toContainText('a token');
  await page.locator('#download').click();
  await expect(page.locator('#storage-text')).toHaveText('All of the model is on this device.', READY);
  await expect(page.locator('#quota')).toContainText('the browser allows');
  await page.locator('#forget').click();
  await expect(page.locator('#storage-text')).toContainText('no longer kept');
  await expect(page.locator('#error')).toBeHidden();
});

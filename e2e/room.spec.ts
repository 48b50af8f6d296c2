// A room in the demo: a second tab opens the link, the picture shows who holds what, and a peer can be killed.
import { expect, test, type Page } from 'playwright/test';

/** The first start compiles every shader on a CPU adapter. */
const READY = { timeout: 240_000 };

async function ready(page: Page): Promise<void> {
  await expect(page.locator('#send')).toBeEnabled(READY);
  await expect(page.locator('#error')).toBeHidden();
}

async function ask(page: Page, maxTokens: number): Promise<void> {
  await page.locator('#max-tokens').evaluate((input: HTMLInputElement, value) => (input.value = value), String(maxTokens));
  await page.locator('#prompt').fill('Hello');
  await page.locator('#prompt').press('Enter');
  await expect(page.locator('#stop')).toBeHidden(READY);
  await expect(page.locator('#error')).toBeHidden();
}

test('two tabs run the model together, and one goes on when the other is killed', async ({ context }) => {
  const host = await context.newPage();
  await host.goto('/');
  await ready(host);
  await host.locator('#open-room').click();
  await expect(host.locator('#room-link')).toHaveValue(/#.*room=.*secret=/, READY);
  await expect(host.locator('#room-qr svg')).toBeVisible();
  await expect(host.locator('#room-text')).toHaveText('Nobody else is here.');

  const guest = await context.newPage();
  await guest.goto(await host.locator('#room-link').inputValue());
  await expect(guest.locator('#room-peers li')).toHaveCount(1, READY);
  await expect(host.locator('#room-peers li')).toHaveCount(1, READY);
  await ask(host, 8);
  await expect(host.locator('#room-peers li')).toContainText(/[1-9][\d.]* [kM]?B exchanged/);
  await expect(host.locator('#room-picture .first').nth(1)).toHaveAttribute('d', /^M/);

  await host.locator('#room-peers button').click();
  await expect(host.locator('#room-peers li')).toHaveCount(0, READY);
  await expect(host.locator('#room-text')).toContainText('was sent away by you');
  await ask(host, 4);
});

test('who knocks is let in when the host says so, and a revoked link opens nothing', async ({ context }) => {
  const host = await context.newPage();
  await host.goto('/');
  await ready(host);
  await host.locator('#room-ask').check();
  await host.locator('#open-room').click();
  await expect(host.locator('#room-link')).toHaveValue(/#.*room=.*secret=/, READY);
  const old = await host.locator('#room-link').inputValue();

  const guest = await context.newPage();
  await guest.goto(old);
  await expect(host.locator('#room-guests li')).toContainText('wants to come in', READY);
  await expect(host.locator('#room-peers li')).toHaveCount(0);
  await host.getByRole('button', { name: 'Refuse' }).click();
  await expect(guest.locator('#error')).toContainText('did not let', READY);

  await guest.locator('#open-room').click();
  await host.getByRole('button', { name: 'Let in' }).click(READY);
  await expect(guest.locator('#room-peers li')).toHaveCount(1, READY);
  await expect(host.locator('#room-guests li')).toHaveCount(0);

  await guest.locator('#leave-room').click();
  await host.locator('#revoke-link').click();
  await expect(host.locator('#room-link')).not.toHaveValue(old);
  await guest.locator('#open-room').click();
  await expect(guest.locator('#error')).toContainText('revoked', READY);
  await expect(host.locator('#room-guests li')).toHaveCount(0);
});

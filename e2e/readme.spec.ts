import { expect, test } from 'playwright/test';
import { serveReadmeExample, type ServedPages } from './pages/serve.ts';

let server: ServedPages;
test.beforeAll(async () => {
  server = await serveReadmeExample();
});
test.afterAll(() => server.close());

test('the example of the README writes an answer into the page', async ({ page, context }) => {
  // The example's model lies elsewhere; here the demo's answers in its place.
  await context.route('https://example.org/**', (route) => route.fulfill({ path: 'packages/demo/models/gatefold-stories-moe.gguf' }));
  const problems: string[] = [];
  page.on('pageerror', ({ message }) => problems.push(message));
  await page.goto(server.url);
  await expect(page.locator('body')).toHaveText(/\S/, { timeout: 240_000 });
  expect(problems).toEqual([]);
});

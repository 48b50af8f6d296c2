// Real pages in a real Chromium: `npm run e2e` (build first: `npm run build`).
import { defineConfig } from 'playwright/test';
import { chromiumArgs, findChromium } from './scripts/browser.mjs';

const port = 5183;

export default defineConfig({
  testDir: 'e2e',
  // Vitest drives Firefox: e2e/firefox.
  testMatch: '**/*.spec.ts',
  outputDir: 'test-results/e2e',
  timeout: 300_000,
  // A state that comes is waited for, however loaded the machine is.
  expect: { timeout: 60_000 },
  // Two cores and a GPU in software: pages side by side only slow each other down.
  workers: 1,
  forbidOnly: process.env['CI'] === 'true',
  use: {
    baseURL: `http://localhost:${port}`,
    launchOptions: { executablePath: await findChromium(), args: chromiumArgs() },
    trace: 'retain-on-failure',
  },
  webServer: {
    command: `node_modules/.bin/vite preview --port ${port} --strictPort`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
  },
});

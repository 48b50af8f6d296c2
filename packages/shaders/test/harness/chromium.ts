import { createServer } from 'node:http';
import { chromium } from 'playwright';
import { chromiumArgs, findChromium } from '../../../../scripts/browser.mjs';
import { bundle } from './bundle.ts';
import type { Guest } from './guest.ts';
import type { KernelHost } from './host.ts';

declare global {
  interface Window {
    guest: Guest;
  }
}

const PAGE = `<!doctype html><title>kernels</title><script type="module">
import { Guest } from './guest.js';
window.guest = new Guest(navigator.gpu);
</script>`;

/** A page of headless Chromium. WebGPU wants a secure context, so it is served from localhost. */
export async function openChromium(): Promise<KernelHost> {
  const code = await bundle('guest.ts');
  const server = createServer((request, response) => {
    const isScript = request.url === '/guest.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? code : PAGE);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the page has no port');
  const browser = await chromium.launch({ executablePath: await findChromium(), args: chromiumArgs() });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${address.port}/`);
  await page.waitForFunction(() => 'guest' in window);
  return {
    run: (request) => page.evaluate((given) => window.guest.run(given), request),
    async close() {
      await browser.close();
      server.close();
    },
  };
}

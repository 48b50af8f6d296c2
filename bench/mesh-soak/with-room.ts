import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openJobBrowser, type JobBrowser } from '../../packages/cli/src/hosts/job-page.ts';
import { openRelay } from '../../packages/cli/src/relay/open-relay.ts';

/** Where tabs come from and find each other. */
export interface RoomHost {
  readonly browser: JobBrowser;
  /** Address of the relay. */
  readonly relay: string;
}

/** Runs with a browser and a relay of its own, which end with it. @param args the browser's command line */
export async function withRoomHost<Result>(run: (host: RoomHost) => Promise<Result>, args?: readonly string[]): Promise<Result> {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../page');
  const browser = await openJobBrowser({ root, ...(args && { args }) });
  const relay = await openRelay();
  try {
    return await run({ browser, relay: relay.url });
  } finally {
    relay.close();
    await browser.close();
  }
}

import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { count, text, type Options } from '../../packages/cli/src/args.ts';
import { openJobBrowser } from '../../packages/cli/src/hosts/job-page.ts';
import { openRelay } from '../../packages/cli/src/relay/open-relay.ts';
import { print } from '../src/command.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { measureCost, type CostReport } from './measure.ts';

const FIXTURE = 'packages/runtime/test/fixtures/olmoe-q4_0';

/** What a room costs a token, over real WebRTC in one browser with round trips added. */
export async function meshCostCommand(options: Options): Promise<void> {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../page');
  const browser = await openJobBrowser({ root });
  const relay = await openRelay();
  try {
    const setup = { browser, folder: resolve(text(options, 'fixture') ?? FIXTURE), relay: relay.url, runs: count(options, 'runs', 1) ?? 3 };
    print(options, { command: 'mesh-cost', ...(await measureCost(setup, (message) => process.stderr.write(`${message}\n`))) }, show);
  } finally {
    relay.close();
    await browser.close();
  }
}

function show({ moeLayers, soloMs, rows }: CostReport): string {
  const shown = rows.map(({ rtt, tokenMs, messagesPerToken, tokensPerSecond, tokensPerSecondOf8 }) => [
    `${rtt} ms`,
    digits(tokenMs),
    digits(tokenMs - soloMs),
    digits((tokenMs - soloMs) / (moeLayers * rtt)),
    digits(messagesPerToken),
    digits(tokensPerSecond),
    digits(tokensPerSecondOf8),
    digits(tokensPerSecondOf8 / tokensPerSecond),
  ]);
  const head = ['round trip', 'ms a token', 'over solo', '÷ (MoE layers × round trip)', 'messages a token', 'tok/s', 'tok/s of 8', '8 over 1'];
  return `${moeLayers} MoE layers, two tabs; alone ${digits(soloMs)} ms a token\n\n${table(head, shown)}`;
}

import { resolve } from 'node:path';
import { count, text, UsageError, type Options } from '../../packages/cli/src/args.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { withRoomHost } from '../mesh-soak/with-room.ts';
import { print } from '../src/command.ts';
import { measureCost, type CostReport } from './measure.ts';

const FIXTURE = 'packages/runtime/test/fixtures/olmoe-q4_0';

/** What a room costs a token, over real WebRTC in one browser with round trips added. */
export async function meshCostCommand(options: Options): Promise<void> {
  const setup = { folder: resolve(text(options, 'fixture') ?? FIXTURE), runs: count(options, 'runs', 1) ?? 3, roundTrips: roundTripsOf(options) };
  const report = await withRoomHost((host) => measureCost({ ...host, ...setup }, (message) => process.stderr.write(`${message}\n`)));
  await print(options, { command: 'mesh-cost', ...report }, show);
}

function roundTripsOf(options: Options): readonly number[] {
  const given = (text(options, 'round-trips') ?? '5,20,50').split(',').map(Number);
  if (!given.every((ms) => ms > 0)) throw new UsageError('--round-trips takes milliseconds with commas between them.');
  return given;
}

function show({ moeLayers, soloMs, soloTokensPerSecondOf8, rows }: CostReport): string {
  const shown = rows.map(({ rtt, pingMs, tokenMs, messagesPerToken, tokensPerSecond, tokensPerSecondOf8 }) => [
    `${rtt} ms`,
    pingMs === undefined ? '–' : digits(pingMs),
    digits(tokenMs),
    digits(tokenMs - soloMs),
    digits((tokenMs - soloMs) / (moeLayers * rtt)),
    digits(messagesPerToken),
    digits(tokensPerSecond),
    digits(tokensPerSecondOf8),
    digits(tokensPerSecondOf8 / tokensPerSecond),
  ]);
  const head = ['round trip', 'pings', 'ms a token', 'over solo', '÷ (MoE layers × round trip)', 'messages a token', 'tok/s', 'tok/s of 8', '8 over 1'];
  return `${moeLayers} MoE layers, two tabs; alone ${digits(soloMs)} ms a token, eight conversations ${digits(soloTokensPerSecondOf8)} tok/s\n\n${table(head, shown)}`;
}

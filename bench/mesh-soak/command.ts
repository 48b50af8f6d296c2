import { resolve } from 'node:path';
import { chromiumArgs } from '../../scripts/browser.mjs';
import { number, text, type Options } from '../../packages/cli/src/args.ts';
import { print } from '../src/command.ts';
import { soak, type SoakReport } from './soak.ts';
import { withRoomHost } from './with-room.ts';

const FIXTURE = 'packages/runtime/test/fixtures/olmoe-q4_0';

/** A room with random joins, leaves, losses and conversations for so many minutes. Throws where a token was wrong or something leaked. */
export async function meshSoakCommand(options: Options): Promise<void> {
  const minutes = number(options, 'minutes') ?? 2;
  const seed = number(options, 'seed') ?? Date.now() % 2 ** 32;
  const folder = resolve(text(options, 'fixture') ?? FIXTURE);
  const args = [...chromiumArgs(), '--enable-precise-memory-info'];
  const report = await withRoomHost((host) => soak({ ...host, folder, minutes, seed }, (message) => process.stderr.write(`${message}\n`)), args);
  await print(options, { command: 'mesh-soak', ...report }, show);
  if (report.faults.length > 0) throw new Error(`${report.faults.length} faults, with --seed ${seed}: ${report.faults.join('; ')}`);
}

function show({ seed, minutes, rounds, answers, tokens, joins, leaves, kills, remoteChoices, failovers, first, last }: SoakReport): string {
  const grown = (name: keyof typeof first) => `${name} ${first[name]} → ${last[name]}`;
  return [
    `${minutes.toFixed(1)} minutes, seed ${seed}: ${rounds} rounds, ${joins} joins, ${leaves} leaves, ${kills} tabs closed at random`,
    `${answers} answers, ${tokens} tokens, ${remoteChoices} experts computed by peers, ${failovers} parts computed at home in a peer's stead`,
    `the tab with the conversations, alone, when a third of the time had passed and at the end: ${grown('gpuBuffers')}, ${grown('gpuBytes')}, ${grown('connections')}, ${grown('heapBytes')}`,
  ].join('\n');
}

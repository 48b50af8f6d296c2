import { resolve } from 'node:path';
import { text, type Options } from '../../packages/cli/src/args.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { withRoomHost } from '../mesh-soak/with-room.ts';
import { print } from '../src/command.ts';
import { measureStalls, type StallRow } from './measure.ts';

const FIXTURE = 'packages/runtime/test/fixtures/olmoe-q4_0';
/** What an answer may stand still for. */
const MOST_MS = 1000;

/** How long an answer stands still, by what happens to its peers. Throws where a token was wrong, or it stood still for too long. */
export async function meshStallCommand(options: Options): Promise<void> {
  const folder = resolve(text(options, 'fixture') ?? FIXTURE);
  const rows = await withRoomHost((host) => measureStalls(host, folder, (message) => process.stderr.write(`${message}\n`)));
  await print(options, { command: 'mesh-stall', rows }, show);
  const bad = rows.filter(({ isRight, longestStallMs }) => !isRight || longestStallMs > MOST_MS);
  if (bad.length > 0) throw new Error(`wrong tokens, or more than ${MOST_MS} ms: ${bad.map(({ failure }) => failure).join('; ')}`);
}

function show({ rows }: { readonly rows: readonly StallRow[] }): string {
  const shown = rows.map(({ failure, tabs, longestStallMs, longestTokenMs, resends, failovers, isRight }) => [
    failure,
    String(tabs),
    longestStallMs > 0 ? digits(longestStallMs) : '–',
    digits(longestTokenMs),
    String(resends),
    String(failovers),
    isRight ? 'right' : 'WRONG',
  ]);
  const head = ['what happens', 'tabs', 'longest stall, ms', 'longest token, ms', 're-sends', 'done at home', 'tokens'];
  return `${table(head, shown)}\n\nAlone a token takes ${digits(rows[0]?.tokenMs)} ms, with 60% of the experts on the GPU.`;
}

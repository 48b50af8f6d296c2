import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text, type Options } from '../../packages/cli/src/args.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { withRoomHost } from '../mesh-soak/with-room.ts';
import { print } from '../src/command.ts';
import { measureRooms, type RoomRow } from './measure.ts';

/** The repository's fixtures, and beside a checkout the whole set that they were taken from. */
const FOLDERS = ['packages/runtime/test/fixtures', '../shared/fixtures'];

/** Every MoE fixture in rooms of real tabs. Throws where a token within the robust prefix is wrong, or one tab has all experts. */
export async function meshFixturesCommand(options: Options): Promise<void> {
  const given = text(options, 'fixture');
  const folders = given === undefined ? allFixtures() : [resolve(given)];
  const rows = await withRoomHost((host) => measureRooms(host, folders, (message) => process.stderr.write(`${message}\n`)));
  await print(options, { command: 'mesh-fixtures', rows }, show);
  const bad = rows.filter(({ isRight, largestShare, remoteChoices }) => !isRight || largestShare >= 1 || remoteChoices === 0);
  if (bad.length > 0) throw new Error(`${bad.length} rooms: ${bad.map(({ fixture, tabs }) => `${fixture} with ${tabs} tabs`).join('; ')}`);
}

function allFixtures(): readonly string[] {
  const byName = new Map(FOLDERS.filter((root) => existsSync(root)).flatMap((root) => readdirSync(root).map((name) => [name, resolve(root, name)] as const)));
  return [...byName.values()].filter((folder) => existsSync(join(folder, 'model.gguf')) && existsSync(join(folder, 'reference.json'))).sort();
}

function show({ rows }: { readonly rows: readonly RoomRow[] }): string {
  const shown = rows.map(({ fixture, tabs, isRight, tokens, largestShare, remoteShare, longestStallMs }) => [
    fixture,
    String(tabs),
    isRight ? `${tokens} right` : 'WRONG',
    `${digits(100 * largestShare)}%`,
    `${digits(100 * remoteShare)}%`,
    longestStallMs > 0 ? digits(longestStallMs) : '–',
  ]);
  return table(['fixture', 'tabs', 'tokens', 'most experts at one tab', 'computed by peers', 'longest stall, ms'], shown);
}

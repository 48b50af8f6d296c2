import type { Options } from '../../packages/cli/src/args.ts';
import { print } from '../src/command.ts';
import { measureMap, showMap, type MapReport } from './map.ts';
import { measureRooms, showRooms, type RoomsReport } from './rooms.ts';

interface MeshReport {
  readonly command: 'mesh';
  readonly rooms: RoomsReport;
  readonly map: MapReport;
}

/** Rooms of all sizes on a virtual clock, with the real planner and the engine's own rules of who is asked for what. */
export async function meshCommand(options: Options): Promise<void> {
  const emit = (message: string) => void process.stderr.write(`${message}\n`);
  const report: MeshReport = { command: 'mesh', rooms: await measureRooms(emit), map: await measureMap(emit) };
  await print(options, report, ({ rooms, map }) => [showRooms(rooms), showMap(map)].join('\n\n'));
}

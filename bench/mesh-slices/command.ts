import type { Page } from 'playwright';
import type { Options } from '../../packages/cli/src/args.ts';
import { digits, median, table } from '../../packages/cli/src/numbers.ts';
import { withRoomHost, type RoomHost } from '../mesh-soak/with-room.ts';
import { print } from '../src/command.ts';
import type { SliceEnd } from './slice-end.ts';

declare global {
  interface Window {
    /** Of the bench's page. */
    sliceEnd(partBytes: number): Promise<SliceEnd>;
    /** What a page of this bench keeps. */
    end: SliceEnd;
  }
}

/** With their header; 4,600 bytes is what links take. */
const SLICES = [1200, 4600, 16 * 1024, 64 * 1024] as const;
const HEADER_BYTES = 16;
const FRAMES = [4, 16, 64, 256, 512].map((kilobytes) => kilobytes * 1024);
const ROUND_TRIPS = 40;
/** Of a measurement of throughput. */
const BYTES = 16 * 1024 * 1024;
const RUNS = 3;

interface SliceRow {
  readonly sliceBytes: number;
  readonly frameBytes: number;
  readonly megabytesPerSecond: number;
  readonly roundTripMs: number;
}

/** Frames between two tabs over loopback, by the size of the slices that they are cut into; medians. */
export async function meshSlicesCommand(options: Options): Promise<void> {
  const rows = await withRoomHost((host) => measure(host, (message) => process.stderr.write(`${message}\n`)));
  await print(options, { command: 'mesh-slices', rows }, show);
}

async function measure({ browser }: RoomHost, emit: (message: string) => void): Promise<readonly SliceRow[]> {
  const [{ page: from }, { page: to }] = [await browser.open(), await browser.open()];
  const samples = new Map<string, SliceRow[]>();
  // Sizes take turns, so that what else the machine does meets all of them.
  for (let run = 0; run < RUNS; run++) {
    for (const sliceBytes of SLICES) {
      await connect(from, to, sliceBytes - HEADER_BYTES);
      // A new connection begins slowly.
      await from.evaluate((frames) => window.end.send(64 * 1024, frames), BYTES / (64 * 1024));
      for (const frameBytes of FRAMES) {
        const count = Math.ceil(BYTES / frameBytes);
        const [ms, trips] = await from.evaluate(async ([bytes, frames, rounds]) => {
          await window.end.roundTrips(bytes, 5);
          return [await window.end.send(bytes, frames), await window.end.roundTrips(bytes, rounds)] as const;
        }, [frameBytes, count, ROUND_TRIPS] as const);
        const row = { sliceBytes, frameBytes, megabytesPerSecond: (count * frameBytes) / ms / 1000, roundTripMs: median(trips) };
        const key = `${sliceBytes} ${frameBytes}`;
        samples.set(key, [...(samples.get(key) ?? []), row]);
        emit(JSON.stringify(row));
      }
      for (const page of [from, to]) await page.evaluate(() => window.end.close());
    }
  }
  return Array.from(samples.values(), (rows) => ({
    sliceBytes: rows[0]?.sliceBytes ?? 0,
    frameBytes: rows[0]?.frameBytes ?? 0,
    megabytesPerSecond: median(rows.map(({ megabytesPerSecond }) => megabytesPerSecond)),
    roundTripMs: median(rows.map(({ roundTripMs }) => roundTripMs)),
  }));
}

async function connect(from: Page, to: Page, partBytes: number): Promise<void> {
  const begin = async (page: Page) => page.evaluate(async (bytes) => void (window.end = await window.sliceEnd(bytes)), partBytes);
  await Promise.all([begin(from), begin(to)]);
  const offer = await from.evaluate(() => window.end.describe());
  const answer = await to.evaluate((given) => window.end.describe(given), offer);
  await from.evaluate((given) => window.end.accept(given), answer);
}

function show({ rows }: { readonly rows: readonly SliceRow[] }): string {
  const shown = FRAMES.map((frameBytes) => [
    `${frameBytes / 1024} KB`,
    ...SLICES.flatMap((sliceBytes) => {
      const row = rows.find((one) => one.frameBytes === frameBytes && one.sliceBytes === sliceBytes);
      return [`${digits(row?.megabytesPerSecond)} MB/s, ${digits(row?.roundTripMs)} ms`];
    }),
  ]);
  return table(['frame', ...SLICES.map((bytes) => `slices of ${bytes}`)], shown);
}

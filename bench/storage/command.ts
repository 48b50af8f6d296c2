import { count, type Options } from '../../packages/cli/src/args.ts';
import { print } from '../src/command.ts';
import { openBenchHost } from '../src/host.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { defaultModel } from '../src/shipped-models.ts';
import type { StorageJob, StorageResult, StorageRow, StorageWay } from './types.ts';

const WRITTEN: readonly StorageWay[] = ['indexeddb-blob', 'indexeddb-buffer', 'opfs-sync'];
const READ: readonly StorageWay[] = [...WRITTEN, 'opfs-file'];
/** Threads, and shards at a time in each. */
const CONCURRENCY = [
  { threads: 1, parallel: 1 },
  { threads: 1, parallel: 8 },
  { threads: 4, parallel: 2 },
  { threads: 8, parallel: 2 },
] as const;
const SOME = { threads: 4, parallel: 2 } as const;

/** How fast each place in a browser takes and gives shards, and how fast they are hashed. */
export async function storageCommand(options: Options): Promise<void> {
  const shardBytes = (count(options, 'shard-kilobytes', 1) ?? 4096) * 1024;
  const shards = Math.max(1, Math.round(((count(options, 'megabytes', 1) ?? 1024) * 1e6) / shardBytes));
  const host = await openBenchHost('chromium', defaultModel());
  const rows: StorageRow[] = [];
  const measure = async (job: Pick<StorageJob, 'action' | 'way' | 'threads' | 'parallel'>, cold = false) => {
    if (cold) await host.dropFileCache();
    const whole = { ...job, shards, shardBytes };
    rows.push({ ...whole, cold, ...(await host.run('storage', whole, () => {})) });
    process.stderr.write(`${show(rows.slice(-1))}\n`);
  };
  try {
    for (const way of WRITTEN) await measure({ action: 'write', way, threads: 1, parallel: 4 });
    for (const way of READ) for (const how of CONCURRENCY) await measure({ action: 'read', way, ...how });
    for (const way of READ) await measure({ action: 'read', way, ...SOME }, true);
    for (const how of CONCURRENCY) await measure({ action: 'sha256', way: 'opfs-sync', ...how });
  } finally {
    await host.close();
  }
  await print(options, { command: 'storage', rows }, showStorage);
}

export function showStorage({ rows }: StorageResult): string {
  const [first] = rows;
  return [`storage · ${first?.shards} shards of ${digits((first?.shardBytes ?? 0) / 1e6)} MB`, '', table(['what', 'threads', 'at a time in each', 'GB/s'], rows.map(cells))].join('\n');
}

function show(rows: readonly StorageRow[]): string {
  return rows.map((row) => cells(row).join(' ')).join('\n');
}

function cells({ action, way, cold, threads, parallel, shards, shardBytes, ms }: StorageRow): string[] {
  const what = action === 'sha256' ? action : `${way} ${action}${action === 'read' ? (cold ? ' cold' : ' warm') : ''}`;
  return [what, String(threads), String(parallel), digits((shards * shardBytes) / ms / 1e6)];
}

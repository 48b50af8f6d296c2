import { count, type Options } from '../../packages/cli/src/args.ts';
import { hostName, print, runAlone } from '../src/command.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import type { UploadResult } from './types.ts';

/** How fast each way of uploading is. */
export async function uploadCommand(options: Options): Promise<void> {
  const report = await runAlone(options, 'upload', { bytes: (count(options, 'megabytes', 1) ?? 2048) * 1e6 });
  await print(options, { command: 'upload', host: hostName(options), report }, showUpload);
}

export function showUpload({ host, report: { bytes, rows } }: UploadResult): string {
  const lines = rows.map(({ way, chunk, depth, ms }) => [way, digits(chunk / (1 << 20)), String(depth), digits(bytes / ms / 1e6)]);
  return [`upload · ${host} · ${digits(bytes / 1e6)} MB each`, '', table(['way', 'MiB a chunk', 'buffers', 'GB/s'], lines)].join('\n');
}

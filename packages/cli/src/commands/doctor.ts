import type { Options } from '../args.ts';
import type { Host } from '../hosts/host.ts';
import type { DoctorReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import { Terminal } from '../terminal.ts';

/** Adapter, features, limits, storage, and what will be slow and why. */
export async function doctorCommand(host: Host, options: Options): Promise<void> {
  const terminal = new Terminal();
  const report = (await host.run({ command: 'doctor' }, () => {}, async () => {})) as DoctorReport;
  const { adapter, limits, storageQuotaBytes, storageUsedBytes, advice } = report;
  if (options['json']) {
    terminal.line(JSON.stringify({ adapter: adapter && snakeCase(adapter), limits, storage_quota_bytes: storageQuotaBytes, storage_used_bytes: storageUsedBytes, advice }));
    return;
  }
  terminal.line(`adapter   ${adapter?.vendor} ${adapter?.architecture} ${adapter?.description}`);
  terminal.line(`features  ${adapter?.features.join(' ')}`);
  for (const [name, value] of Object.entries(limits)) terminal.line(`limit     ${name} ${value}`);
  terminal.line(`storage   ${storageQuotaBytes === undefined ? 'unknown' : `${gigabytes(storageUsedBytes ?? 0)} of ${gigabytes(storageQuotaBytes)} GB used`}`);
  for (const hint of advice) terminal.line(`note      ${hint}`);
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}

import { JobError } from '../hosts/host.ts';
import type { DoctorReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import type { Command } from './command.ts';

/** Adapter, features, limits, storage, and what will be slow and why. Fails where there is no adapter. */
export const doctorCommand: Command = async (options) => async ({ host, terminal, signal }) => {
  const report = await host.run({ command: 'doctor' }, { emit: (event) => terminal.show(event), signal });
  const { adapter, limits, ...rest } = report;
  if (options['json']) terminal.json({ adapter: adapter && snakeCase(adapter), limits, ...snakeCase(rest) });
  else for (const line of lines(report)) terminal.line(line);
  if (!adapter) throw new JobError('no-adapter', 'There is no WebGPU adapter, so no model can run.');
};

function lines({ adapter, limits, storageQuotaBytes, storageUsedBytes, advice }: DoctorReport): string[] {
  return [
    `adapter   ${adapter ? `${adapter.vendor} ${adapter.architecture} ${adapter.description}`.trim() : 'none'}`,
    ...(adapter ? [`features  ${adapter.features.join(' ')}`] : []),
    ...Object.entries(limits).map(([name, value]) => `limit     ${name} ${value}`),
    `storage   ${storageQuotaBytes === null ? 'none' : `${gigabytes(storageUsedBytes ?? 0)} of ${gigabytes(storageQuotaBytes)} GB used`}`,
    ...advice.map((hint) => `note      ${hint}`),
  ];
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}

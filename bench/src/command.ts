import { UsageError, text, type Options } from '../../packages/cli/src/args.ts';
import { openBenchHost, type HostName } from './host.ts';
import type { JobOf, ReportOf } from './job.ts';
import { defaultModel } from './shipped-models.ts';

/** `--model`, or the demo's embedded one. */
export function modelPath(options: Options): string {
  return text(options, 'model') ?? defaultModel();
}

/** `--host`, Chromium where it is not given. Throws `UsageError`. */
export function hostName(options: Options): HostName {
  const name = text(options, 'host') ?? 'chromium';
  if (name === 'chromium' || name === 'node') return name;
  throw new UsageError(`--host is "${name}", but must be chromium or node.`);
}

/** Runs one job in a host of its own, so that nothing of the one before is left in memory; progress goes to stderr. */
export async function runAlone<Kind extends keyof JobOf>(options: Options, kind: Kind, job: JobOf[Kind]): Promise<ReportOf[Kind]> {
  const host = await openBenchHost(hostName(options), modelPath(options));
  try {
    return await host.run(kind, job, (message) => process.stderr.write(`${message}\n`));
  } finally {
    await host.close();
  }
}

/** With --json one line of JSON, which `report` reads; else a text for people. */
export function print<Result extends object>(options: Options, result: Result, shown: (result: Result) => string): void {
  process.stdout.write(`${options['json'] === true ? JSON.stringify(result) : shown(result)}\n`);
}

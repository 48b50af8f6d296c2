import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError, text, type Options } from '../../packages/cli/src/args.ts';
import { openBenchHost, type HostName } from './host.ts';
import type { JobOf, ReportOf } from './job.ts';
import { defaultModel } from './shipped-models.ts';

/** Where results lie that were shown as text. */
const RESULTS = '.cache/bench-results';

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

/** With --json one line of JSON, which `report` and `plots` read; else a text for people, and the JSON in a file. */
export async function print<Result extends { readonly command: string }>(options: Options, result: Result, shown: (result: Result) => string): Promise<void> {
  const json = JSON.stringify({ ...result, date: new Date().toISOString() });
  process.stdout.write(`${options['json'] === true ? json : shown(result)}\n`);
  if (options['json'] === true) return;
  const path = join(RESULTS, `${result.command}.json`);
  await mkdir(RESULTS, { recursive: true });
  await writeFile(path, `${json}\n`);
  process.stderr.write(`the same as JSON: ${path}\n`);
}

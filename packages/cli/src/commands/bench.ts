import { count, type Options } from '../args.ts';
import type { Host } from '../hosts/host.ts';
import type { BenchReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import { Terminal } from '../terminal.ts';
import { modelOptions } from './model-options.ts';

/** Prefill and decode rates over several runs after one that warms up; medians. */
export async function benchCommand(host: Host, options: Options): Promise<void> {
  const terminal = new Terminal();
  const job = {
    command: 'bench' as const,
    ...modelOptions(options),
    promptTokens: count(options, 'prompt-tokens', 1) ?? 512,
    genTokens: count(options, 'gen-tokens', 1) ?? 128,
    runs: count(options, 'runs', 1) ?? 3,
  };
  const report = (await host.run(job, (event) => terminal.show(event), async () => {})) as BenchReport;
  terminal.endLine();
  const medians = {
    prefillTps: median(report.runs.map((run) => run.prefillTps)),
    decodeTps: median(report.runs.map((run) => run.decodeTps)),
  };
  if (options['json']) {
    const { runs, adapter, ...rest } = report;
    terminal.line(JSON.stringify({ ...snakeCase({ ...rest, ...medians }), adapter: snakeCase(adapter), runs: runs.map(snakeCase) }));
    return;
  }
  const [first] = report.runs;
  const rows: readonly (readonly [string, string])[] = [
    ['model', `${report.model}, ${(report.fileBytes / 1e6).toFixed(1)} MB`],
    ['adapter', `${report.adapter.vendor} ${report.adapter.architecture} ${report.adapter.description}`],
    ['load', `${report.loadMs.toFixed(0)} ms`],
    ['prefill', `${medians.prefillTps.toFixed(1)} tok/s (${first?.promptTokens ?? 0} tokens)`],
    ['decode', `${medians.decodeTps.toFixed(1)} tok/s (${first?.generatedTokens ?? 0} tokens)`],
    ['dispatches', `${first?.dispatchesPerToken.toFixed(0) ?? '?'} a token`],
    ['submits', `${first?.submitsPerToken.toFixed(2) ?? '?'} a token`],
    ['GPU memory', `${((first?.gpuBytes ?? 0) / 1e6).toFixed(1)} MB`],
  ];
  for (const [name, value] of rows) terminal.line(`${name.padEnd(12)}${value}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

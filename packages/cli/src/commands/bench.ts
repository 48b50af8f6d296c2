import { count, type Options } from '../args.ts';
import type { BenchJob, BenchReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import type { Command } from './command.ts';
import { modelOptions } from './model-options.ts';

/** Prefill and decode rates over several runs after one that warms up; medians. */
export const benchCommand: Command = async (options) => {
  const job = await benchJob(options);
  return async ({ host, terminal, signal }) => {
    const report = await host.run(job, { emit: (event) => terminal.show(event), signal });
    const medians = {
      prefillTps: median(report.runs.map((run) => run.prefillTps)),
      decodeTps: median(report.runs.map((run) => run.decodeTps)),
    };
    if (options['json']) {
      const { runs, adapter, ...rest } = report;
      terminal.json({ ...snakeCase({ ...rest, ...medians }), adapter: snakeCase(adapter), runs: runs.map(snakeCase) });
    } else {
      for (const [name, value] of rows(report, medians)) terminal.line(`${name.padEnd(12)}${value}`);
    }
  };
};

async function benchJob(options: Options): Promise<BenchJob> {
  const sizes = {
    promptTokens: count(options, 'prompt-tokens', 1) ?? 512,
    genTokens: count(options, 'gen-tokens', 1) ?? 128,
    runs: count(options, 'runs', 1) ?? 3,
  };
  return { command: 'bench', ...sizes, ...(await modelOptions(options)) };
}

function rows(report: BenchReport, { prefillTps, decodeTps }: { readonly prefillTps: number; readonly decodeTps: number }): [name: string, value: string][] {
  const { model, fileBytes, adapter, loadMs, promptTokens, genTokens, runs } = report;
  const last = runs.at(-1);
  return [
    ['model', `${model}, ${megabytes(fileBytes)}`],
    ['adapter', `${adapter.vendor} ${adapter.architecture} ${adapter.description}`.trim()],
    ['load', `${loadMs.toFixed(0)} ms`],
    ['prefill', `${prefillTps.toFixed(1)} tok/s (${promptTokens} tokens)`],
    ['decode', `${decodeTps.toFixed(1)} tok/s (${genTokens} tokens)`],
    ['dispatches', `${last?.dispatchesPerToken.toFixed(0)} a token`],
    ['submits', `${last?.submitsPerToken.toFixed(2)} a token`],
    ['GPU memory', megabytes(last?.gpuBytes ?? 0)],
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

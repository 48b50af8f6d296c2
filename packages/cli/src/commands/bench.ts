import { basename } from 'node:path';
import { count, type Options } from '../args.ts';
import type { BenchJob, BenchReport, ProfileJob } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import { median } from '../numbers.ts';
import { showProfile } from '../profile/show.ts';
import type { PassProfile } from '../profile/types.ts';
import type { Command } from './command.ts';
import { modelOptions } from './model-options.ts';

/** Prefill and decode rates over several runs after one that warms up; medians. With --profile where a token's time goes. */
export const benchCommand: Command = async (options) => {
  if (options['profile'] === true) return profileRun(options);
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

async function profileRun(options: Options): ReturnType<Command> {
  const model = await modelOptions(options);
  const job: ProfileJob = { command: 'profile', context: count(options, 'prompt-tokens', 1) ?? 512, chunk: model.prefillChunk ?? 512, sampled: false, sessions: count(options, 'sessions', 1) ?? 1, ...model };
  return async ({ host, terminal, signal }) => {
    const report = await host.run(job, { emit: (event) => terminal.show(event), signal });
    const pass = (profile: PassProfile) => ({ ...snakeCase(profile), stages: profile.stages.map(snakeCase) });
    if (options['json']) terminal.json({ ...snakeCase(report), adapter: snakeCase(report.adapter), decode: pass(report.decode), ...(report.batch ? { batch: pass(report.batch) } : {}), prefill: pass(report.prefill) });
    else terminal.line(showProfile([report.model || basename(job.model)], report));
  };
}

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

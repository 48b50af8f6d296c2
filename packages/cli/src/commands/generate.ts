import { writeFile } from 'node:fs/promises';
import { count, defined, number, promptInput, text, type Options } from '../args.ts';
import type { GenerateJob } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import type { Command } from './command.ts';
import { modelOptions } from './model-options.ts';

/** Without an end in sight a model writes until the context is full. */
const DEFAULT_MAX_TOKENS = 256;

/** Streams text to the terminal; with --json the last line of stdout is the report. */
export const generateCommand: Command = async (options) => {
  const job = await generateJob(options);
  return async ({ host, terminal, signal }) => {
    const report = await host.run(job, { emit: (event) => terminal.show(event), signal });
    terminal.endLine();
    const traceFile = text(options, 'trace');
    if (traceFile !== undefined) await writeFile(traceFile, JSON.stringify(report.trace));
    const { ids, promptIds, stats, adapter } = report;
    if (options['json']) terminal.json({ ids, text: report.text, prompt_ids: promptIds, stats: { ...snakeCase(stats), adapter: snakeCase(adapter) } });
    else terminal.note(`${ids.length} tokens · prefill ${stats.prefillTps.toFixed(1)} tok/s · decode ${stats.decodeTps.toFixed(1)} tok/s`);
  };
};

async function generateJob(options: Options): Promise<GenerateJob> {
  const input = promptInput(options);
  const maxTokens = count(options, 'max-tokens') ?? DEFAULT_MAX_TOKENS;
  const sampling = defined({
    temperature: number(options, 'temperature'),
    topK: count(options, 'top-k'),
    topP: number(options, 'top-p'),
    minP: number(options, 'min-p'),
    repeatPenalty: number(options, 'repeat-penalty'),
    seed: count(options, 'seed'),
  });
  return { command: 'generate', input, maxTokens, sampling, ...(await modelOptions(options)) };
}

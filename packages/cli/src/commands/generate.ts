import { writeFile } from 'node:fs/promises';
import { count, defined, number, promptInput, text, type Options } from '../args.ts';
import type { GenerateJob, GenerateReport } from '../job/types.ts';
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
    else terminal.note(`${ids.length} tokens · prefill ${stats.prefillTps.toFixed(1)} tok/s · decode ${stats.decodeTps.toFixed(1)} tok/s${expertsFound(stats)}`);
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

/** Where experts had to be brought to the GPU: how many were there, and what the others took. */
function expertsFound({ expertHits, expertMisses, expertBytes, promptTokens, generatedTokens }: GenerateReport['stats']): string {
  if (expertMisses === 0) return '';
  const share = (100 * expertHits) / (expertHits + expertMisses);
  return ` · ${share.toFixed(1)}% of experts found, ${(expertBytes / 1e6 / (promptTokens + generatedTokens)).toFixed(2)} MB brought a token`;
}

import { count, defined, number, promptInput, type Options } from '../args.ts';
import type { Host } from '../hosts/host.ts';
import type { GenerateReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import { Terminal } from '../terminal.ts';
import { modelOptions } from './model-options.ts';

/** Streams text to the terminal; with --json the last line of stdout is the report. */
export async function generateCommand(host: Host, options: Options): Promise<void> {
  const terminal = new Terminal();
  const job = {
    command: 'generate' as const,
    ...modelOptions(options),
    input: promptInput(options),
    ...defined({ maxTokens: count(options, 'max-tokens') }),
    sampling: defined({
      temperature: number(options, 'temperature'),
      topK: count(options, 'top-k'),
      topP: number(options, 'top-p'),
      minP: number(options, 'min-p'),
      repeatPenalty: number(options, 'repeat-penalty'),
      seed: count(options, 'seed'),
    }),
  };
  const report = (await host.run(job, (event) => terminal.show(event), async () => {})) as GenerateReport;
  terminal.endLine();
  if (options['json']) {
    const { ids, text, promptIds, stats, adapter } = report;
    terminal.line(JSON.stringify({ ids, text, prompt_ids: promptIds, stats: { ...snakeCase(stats), adapter: snakeCase(adapter) } }));
  } else {
    const { prefillTps, decodeTps } = report.stats;
    terminal.note(`${report.ids.length} tokens · prefill ${prefillTps.toFixed(1)} tok/s · decode ${decodeTps.toFixed(1)} tok/s`);
  }
}

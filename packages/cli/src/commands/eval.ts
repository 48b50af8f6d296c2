import { writeFile } from 'node:fs/promises';
import { count, defined, promptInput, requiredText, type Options } from '../args.ts';
import type { Host } from '../hosts/host.ts';
import type { EvalReport } from '../job/types.ts';
import { Terminal } from '../terminal.ts';
import { modelOptions } from './model-options.ts';

/** Writes what the model computed for a prompt to a safetensors file. */
export async function evalCommand(host: Host, options: Options): Promise<void> {
  const terminal = new Terminal();
  const out = requiredText(options, 'out');
  const job = { command: 'eval' as const, ...modelOptions(options), input: promptInput(options), ...defined({ chunk: count(options, 'chunk', 1) }) };
  const report = (await host.run(job, (event) => terminal.show(event), (bytes) => writeFile(out, bytes))) as EvalReport;
  if (options['json']) terminal.line(JSON.stringify({ out, ...report }));
  else terminal.line(`${out}: ${report.tensors.length} tensors for ${report.tokens} tokens`);
}

import { writeFile } from 'node:fs/promises';
import { count, defined, promptInput, requiredText, type Options } from '../args.ts';
import type { EvalJob } from '../job/types.ts';
import type { Command } from './command.ts';
import { modelOptions } from './model-options.ts';

/** Writes what the model computed for a prompt to a safetensors file. */
export const evalCommand: Command = async (options) => {
  const out = requiredText(options, 'out');
  const job = await evalJob(options);
  return async ({ host, terminal, signal }) => {
    let file: Uint8Array = new Uint8Array();
    const deliver = async (bytes: Uint8Array) => {
      file = bytes;
    };
    const report = await host.run(job, { emit: (event) => terminal.show(event), deliver, signal });
    await writeFile(out, file);
    if (options['json']) terminal.json({ out, ...report });
    else terminal.line(`${out}: ${report.tensors.length} tensors for ${report.tokens} tokens`);
  };
};

async function evalJob(options: Options): Promise<EvalJob> {
  const input = promptInput(options);
  const chunk = defined({ chunk: count(options, 'chunk', 1) });
  return { command: 'eval', input, ...chunk, ...(await modelOptions(options)) };
}

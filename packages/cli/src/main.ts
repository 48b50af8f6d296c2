import { parseCommand, text, USAGE, UsageError, type CommandName, type Options } from './args.ts';
import { benchCommand } from './commands/bench.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { chromiumHost } from './hosts/chromium.ts';
import { JobError, type Host } from './hosts/host.ts';
import { nodeHost } from './hosts/node.ts';

const RUN: Readonly<Record<CommandName, (host: Host, options: Options) => Promise<void>>> = {
  generate: generateCommand,
  eval: evalCommand,
  bench: benchCommand,
  doctor: doctorCommand,
};

/** @param argv arguments after the command's name @returns the exit status: 0, 1 for a failed job, 2 for wrong usage */
export async function main(argv: readonly string[]): Promise<number> {
  let host: Host | undefined;
  try {
    const { command, options } = parseCommand(argv);
    if (command === 'help') {
      process.stdout.write(USAGE);
      return 0;
    }
    host = await openHost(text(options, 'host') ?? 'chromium');
    await RUN[command](host, options);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`gatefold: ${error.message}\n`);
      return 2;
    }
    const code = error instanceof JobError ? ` [${error.code}]` : '';
    process.stderr.write(`gatefold: ${error instanceof Error ? error.message : String(error)}${code}\n`);
    return 1;
  } finally {
    await host?.close();
  }
}

async function openHost(name: string): Promise<Host> {
  if (name === 'chromium') return chromiumHost();
  if (name === 'node') return nodeHost();
  throw new UsageError(`--host is "${name}", but must be chromium or node.`);
}

import { parseCommand, text, USAGE, UsageError, type CommandName, type Options } from './args.ts';
import { CancelledError, cancellation } from './cancellation.ts';
import { benchCommand } from './commands/bench.ts';
import type { Command } from './commands/command.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import type { FileCommand } from './commands/file-command.ts';
import { generateCommand } from './commands/generate.ts';
import { manifestCommand } from './commands/manifest.ts';
import { relayCommand } from './commands/relay.ts';
import { serveCommand } from './commands/serve.ts';
import { verifyCommand } from './commands/verify.ts';
import { chromiumHost } from './hosts/chromium.ts';
import type { Host } from './hosts/host.ts';
import { nodeHost } from './hosts/node.ts';
import { failureOf } from './job/failure.ts';
import { Terminal } from './terminal.ts';

/** They need no host to run a job in. */
const FILE_COMMANDS = { manifest: manifestCommand, verify: verifyCommand, relay: relayCommand, serve: serveCommand } as const satisfies Readonly<Record<string, FileCommand>>;

const COMMANDS: Readonly<Record<Exclude<CommandName, keyof typeof FILE_COMMANDS>, Command>> = {
  generate: generateCommand,
  eval: evalCommand,
  bench: benchCommand,
  doctor: doctorCommand,
};

const HOSTS: Readonly<Record<string, () => Promise<Host>>> = { chromium: chromiumHost, node: nodeHost };

/** @param argv arguments after the command's name @returns the exit status: 0, 1 for a failed job, 2 for wrong usage, 128 + n after signal n */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = new Terminal();
  const { signal, release } = cancellation();
  try {
    const { command, options } = parseCommand(argv);
    if (command === 'help') terminal.text(USAGE);
    else await runCommand(command, options, terminal, signal);
    return 0;
  } catch (error) {
    terminal.endLine();
    return explain(error, terminal);
  } finally {
    release();
  }
}

async function runCommand(name: CommandName, options: Options, terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (name === 'manifest' || name === 'verify' || name === 'relay' || name === 'serve') return FILE_COMMANDS[name](options, { terminal, signal });
  const hostName = text(options, 'host') ?? 'chromium';
  const openHost = Object.hasOwn(HOSTS, hostName) ? HOSTS[hostName] : undefined;
  if (!openHost) throw new UsageError(`--host is "${hostName}", but must be ${Object.keys(HOSTS).join(' or ')}.`);
  const run = await COMMANDS[name](options);
  const host = await openHost();
  try {
    await run({ host, terminal, signal });
  } finally {
    await host.close();
  }
}

/** One line about what went wrong, and the exit status for it. */
function explain(error: unknown, terminal: Terminal): number {
  const { code, message } = error instanceof UsageError ? { code: 'usage', message: `${error.message} See gatefold help.` } : failureOf(error);
  if (error instanceof CancelledError) {
    terminal.note('gatefold: cancelled');
    return error.exitCode;
  }
  terminal.note(`gatefold: ${message.replace(/\s*\n\s*/g, ' ')} [${code}]`);
  return error instanceof UsageError ? 2 : 1;
}

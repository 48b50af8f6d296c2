import { spawn } from 'node:child_process';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '../bin/gatefold.mjs');

export interface CliOptions {
  readonly cwd?: string;
  /** Sent as soon as there is something on stdout. */
  readonly interrupt?: NodeJS.Signals;
  /** When the interrupt is sent instead. */
  readonly interruptAfter?: Promise<unknown>;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command, on the CPU adapter that is the same everywhere. */
export function gatefold(args: readonly string[], { cwd, interrupt, interruptAfter }: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { cwd, env: { ...process.env, GATEFOLD_GPU: 'software' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    if (interruptAfter) void interruptAfter.finally(() => child.kill(interrupt));
    else if (interrupt) child.stdout.once('data', () => child.kill(interrupt));
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** The object on the last line of stdout, and what came before. */
export function lastLine(stdout: string): { readonly before: string; readonly json: Record<string, unknown> } {
  const lines = stdout.split('\n');
  if (lines.pop() !== '') throw new Error('stdout does not end with a line');
  const json: Record<string, unknown> = JSON.parse(lines.pop() ?? '');
  return { before: lines.join('\n'), json };
}

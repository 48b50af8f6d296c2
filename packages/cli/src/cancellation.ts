import { constants } from 'node:os';

/** Signals that end a command, and a closed pipe (`gatefold generate … | head`). */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The command is to end before its end. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  constructor(readonly signal: (typeof SIGNALS)[number] | 'SIGPIPE') {
    super('The command was cancelled.');
  }

  /** As a shell tells of a process that a signal ended. */
  get exitCode(): number {
    return 128 + constants.signals[this.signal];
  }
}

/** An abort signal for Ctrl-C and its like. The second time the process ends at once. */
export function cancellation(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const cancel = (signal: CancelledError['signal']) => {
    release();
    controller.abort(new CancelledError(signal));
  };
  // Left in place at the end: what is written after that must not throw either.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') cancel('SIGPIPE');
  });
  const release = () => {
    for (const signal of SIGNALS) process.off(signal, cancel);
  };
  for (const signal of SIGNALS) process.on(signal, cancel);
  return { signal: controller.signal, release };
}

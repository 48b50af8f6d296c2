import type { Options } from '../args.ts';
import type { Host } from '../hosts/host.ts';
import type { Terminal } from '../terminal.ts';

/** What a command works with. */
export interface Workplace {
  readonly host: Host;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/**
 * A command: checks its options, before any host is started, and gives back what remains to be done.
 * Throws `UsageError`, and `JobError` for a model that is not there; what it gives back throws `JobError`.
 */
export type Command = (options: Options) => Promise<(workplace: Workplace) => Promise<void>>;

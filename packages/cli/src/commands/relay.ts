import { count, text, UsageError } from '../args.ts';
import { openRelay } from '../relay/open-relay.ts';
import type { FileCommand } from './file-command.ts';

const PORT = 8787;

/** Runs a signalling relay until it is cancelled. Prints its address once it listens. */
export const relayCommand: FileCommand = async (options, { terminal, signal }) => {
  const [host, port] = [text(options, 'host') ?? '127.0.0.1', count(options, 'port') ?? PORT];
  const relay = await openRelay(host, port).catch((error: unknown) => {
    throw new UsageError(`--host ${host} --port ${port}: ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    if (options['json']) terminal.json({ host, port: relay.port });
    else terminal.line(`relay at ${relay.url}`);
    await new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason), { once: true }));
  } finally {
    relay.close();
  }
};

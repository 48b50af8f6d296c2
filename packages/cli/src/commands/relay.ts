import { createServer } from 'node:http';
import { count, text, UsageError } from '../args.ts';
import { Relay } from '../relay/relay.ts';
import type { FileCommand } from './file-command.ts';

const PORT = 8787;

/** Runs a signalling relay until it is cancelled. Prints its address once it listens. */
export const relayCommand: FileCommand = async (options, { terminal, signal }) => {
  const relay = new Relay();
  const server = createServer((_, response) => response.writeHead(426, { 'content-type': 'text/plain' }).end('A relay for rooms of Gatefold: WebSockets only.\n'));
  relay.attach(server, '/');
  const [host, port] = [text(options, 'host') ?? '127.0.0.1', count(options, 'port') ?? PORT];
  try {
    await new Promise<void>((done, fail) => {
      server.once('error', (error) => fail(new UsageError(`--host ${host} --port ${port}: ${error.message}`)));
      server.listen(port, host, done);
    });
    const address = server.address();
    const actual = typeof address === 'object' && address ? address.port : port;
    if (options['json']) terminal.json({ host, port: actual });
    else terminal.line(`relay at ws://${host.includes(':') ? `[${host}]` : host}:${actual}/`);
    await new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason), { once: true }));
  } finally {
    relay.close();
    server.close();
    server.closeAllConnections();
  }
};

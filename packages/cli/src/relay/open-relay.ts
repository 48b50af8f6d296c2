import { createServer } from 'node:http';
import { Relay } from './relay.ts';

export interface OpenRelay {
  readonly port: number;
  /** ws:// */
  readonly url: string;
  close(): void;
}

/** A relay with a server of its own. Throws what listening throws. @param port 0 takes a free one */
export async function openRelay(host = '127.0.0.1', port = 0): Promise<OpenRelay> {
  const relay = new Relay();
  const server = createServer((_, response) => response.writeHead(426, { 'content-type': 'text/plain' }).end('A relay for rooms of Gatefold: WebSockets only.\n'));
  relay.attach(server);
  const close = () => {
    relay.close();
    server.close();
    server.closeAllConnections();
  };
  try {
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen(port, host, done);
    });
  } catch (error) {
    close();
    throw error;
  }
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  return { port: actual, url: `ws://${host.includes(':') ? `[${host}]` : host}:${actual}/`, close };
}

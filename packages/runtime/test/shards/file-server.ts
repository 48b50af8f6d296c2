import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What a test makes the server do with a request before (or instead of) its usual answer. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => boolean | void;

/** A local HTTP server of files in memory, with knobs for everything that goes wrong in the wild. */
export class FileServer {
  readonly files = new Map<string, Uint8Array>();
  /** `Range` headers of GET requests in order; empty string where there was none. */
  readonly ranges: string[] = [];
  /** Body bytes sent. */
  sent = 0;
  supportsRange = true;
  hidesContentRange = false;
  etag: string | undefined = '"v1"';
  lastModified: string | undefined;
  /** Consumed one per request; each returns true where it has answered. */
  readonly misbehaviours: Misbehaviour[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { range } = request.headers;
    if (request.method === 'GET') this.ranges.push(range ?? '');
    if (this.misbehaviours.shift()?.(request, response)) return;
    const file = this.files.get(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (!file) return void response.writeHead(404).end();
    if (this.etag !== undefined) response.setHeader('etag', this.etag);
    if (this.lastModified !== undefined) response.setHeader('last-modified', this.lastModified);
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
    const ifRange = request.headers['if-range'];
    if (request.method === 'HEAD' || !match || !this.supportsRange || (ifRange !== undefined && ifRange !== this.etag)) {
      response.writeHead(200, { 'content-length': file.length });
      this.#send(response, request.method === 'HEAD' ? new Uint8Array() : file);
      return;
    }
    const start = Number(match[1]);
    const end = Math.min(Number(match[2]), file.length - 1);
    if (start > end) return void response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
    if (!this.hidesContentRange) response.setHeader('content-range', `bytes ${start}-${end}/${file.length}`);
    response.writeHead(206, { 'content-length': end + 1 - start });
    this.#send(response, file.subarray(start, end + 1));
  }

  #send(response: ServerResponse, bytes: Uint8Array): void {
    this.sent += bytes.length;
    response.end(bytes);
  }
}

/** Answers with this status. */
export const status =
  (code: number, headers: Record<string, string> = {}): Misbehaviour =>
  (_, response) => {
    response.writeHead(code, headers).end();
    return true;
  };

/** Breaks the connection before any answer. */
export const reset: Misbehaviour = (request) => {
  request.socket.destroy();
  return true;
};

/** Sends a start of the range as a whole answer, as servers do that limit what they send at a time. */
export const shortRange =
  (file: Uint8Array, bytes: number, headers: Record<string, string> = { etag: '"v1"' }): Misbehaviour =>
  (request, response) => {
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]);
    response.writeHead(206, { 'content-range': `bytes ${start}-${start + bytes - 1}/${file.length}`, 'content-length': bytes, ...headers });
    response.end(file.subarray(start, start + bytes));
    return true;
  };

/** Sends a true start of the range, then breaks the connection. */
export const breakAfter =
  (file: Uint8Array, bytes: number): Misbehaviour =>
  (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from);
    response.writeHead(206, { 'content-range': `bytes ${start}-${to}/${file.length}`, 'content-length': Number(to) + 1 - start, etag: '"v1"' });
    response.write(file.subarray(start, start + bytes), () => setTimeout(() => request.socket.destroy(), 20));
    return true;
  };

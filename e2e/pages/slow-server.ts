import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** Bytes [start, end) of the file that were asked for. */
export interface AskedRange {
  readonly start: number;
  readonly end: number;
}

export interface SlowServerOptions {
  readonly bytesPerSecond?: number;
  readonly latencyMs?: number;
}

const PIECE_BYTES = 16 * 1024;

/** Serves one model over a slow line to pages of any origin, and writes down what was asked for. */
export class SlowServer {
  readonly asked: AskedRange[] = [];
  /** Body bytes sent, of all files. */
  sent = 0;
  etag = '"1"';
  /** Breaks every connection before an answer. */
  isOffline = false;
  /** Bytes after which an answer breaks off. */
  cut: (range: AskedRange) => number = () => Infinity;
  /** Changes the bytes of an answer. */
  tamper: (bytes: Buffer, range: AskedRange) => void = () => {};
  /** Other files by path. */
  readonly files = new Map<string, string>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  private constructor(
    readonly model: Buffer,
    readonly options: SlowServerOptions,
  ) {}

  static async start(model: Buffer, options: SlowServerOptions = {}): Promise<SlowServer> {
    const server = new SlowServer(model, options);
    await new Promise<void>((done) => server.#server.listen(0, '127.0.0.1', done));
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    return `http://127.0.0.1:${address.port}/model.gguf`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isOffline) return void request.socket.destroy();
    await new Promise((go) => setTimeout(go, this.options.latencyMs ?? 0));
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', '*');
    response.setHeader('access-control-expose-headers', 'content-range, etag, content-length');
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    const other = this.files.get(request.url ?? '');
    if (other !== undefined) return void response.writeHead(200, { 'content-type': 'application/json' }).end(other);
    if (request.url !== '/model.gguf') return void response.writeHead(404).end();
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const range = { start: Number(from), end: Math.min(Number(to) + 1, this.model.length) };
    const bytes = Buffer.from(this.model.subarray(range.start, range.end));
    this.asked.push(range);
    this.tamper(bytes, range);
    response.writeHead(206, { etag: this.etag, 'content-length': bytes.length, 'content-range': `bytes ${range.start}-${range.end - 1}/${this.model.length}` });
    await this.#send(response, bytes, this.cut(range));
  }

  async #send(response: ServerResponse, bytes: Buffer, end: number): Promise<void> {
    const { bytesPerSecond = Infinity } = this.options;
    for (let at = 0; at < bytes.length && !response.destroyed; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, Math.min(at + PIECE_BYTES, end));
      response.write(piece);
      this.sent += piece.length;
      if (at + piece.length >= end) return void response.destroy();
      if (Number.isFinite(bytesPerSecond)) await new Promise((go) => setTimeout(go, (piece.length * 1000) / bytesPerSecond));
    }
    response.end();
  }
}

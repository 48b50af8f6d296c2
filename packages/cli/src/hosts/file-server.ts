import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, dirname, extname, join, normalize, resolve } from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

export interface FileServer {
  readonly origin: string;
  /** The URL under which a local file (and its siblings, for split models) is read. */
  urlOf(path: string): string;
  close(): Promise<void>;
}

/**
 * Serves the job page, and local model files with Range, on a loopback port of its own.
 * @param root folder of the built page @param deliver receives the body of POST /deliver @param added more response headers
 */
export async function serveFiles(root: string, deliver: (bytes: Uint8Array) => Promise<void>, added: Readonly<Record<string, string>> = {}): Promise<FileServer> {
  // Only folders that were asked for can be read.
  const folders: string[] = [];
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(added)) response.setHeader(name, value);
    handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (request.method === 'POST' && path === '/deliver') {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      await deliver(Buffer.concat(parts));
      response.writeHead(204).end();
      return;
    }
    const model = /^\/model\/(\d+)\/([^/]+)$/.exec(path);
    const folder = model ? folders[Number(model[1])] : root;
    const name = model ? (model[2] ?? '') : path === '/' ? 'index.html' : path;
    if (!folder || normalize(name).startsWith('..')) {
      response.writeHead(404).end();
      return;
    }
    await sendFile(join(folder, normalize(name)), request.headers.range, response, request.method === 'HEAD');
  }

  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    urlOf: (path) => {
      const number = folders.push(dirname(resolve(path))) - 1;
      return `${origin}/model/${number}/${encodeURIComponent(basename(path))}`;
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}

async function sendFile(path: string, range: string | undefined, response: ServerResponse, headOnly: boolean): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  const headers = {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    etag: `"${info.size}-${info.mtimeMs}"`,
  };
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  const start = match ? Number(match[1]) : 0;
  const end = match?.[2] ? Math.min(Number(match[2]), info.size - 1) : info.size - 1;
  if (match && (start > end || start >= info.size)) {
    response.writeHead(416, { 'content-range': `bytes */${info.size}` }).end();
    return;
  }
  response.writeHead(match ? 206 : 200, {
    ...headers,
    'content-length': end - start + 1,
    ...(match ? { 'content-range': `bytes ${start}-${end}/${info.size}` } : {}),
  });
  if (headOnly || info.size === 0) response.end();
  else createReadStream(path, { start, end }).on('error', () => response.destroy()).pipe(response);
}

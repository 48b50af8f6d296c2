import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, dirname, extname, join, normalize, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

export interface FileServer {
  readonly origin: string;
  /** The URL under which a local file, and the other parts of a split model, can be read. */
  urlOf(path: string): string;
  close(): Promise<void>;
}

/** A model's folder, of which nothing but the model can be read. */
interface SharedModel {
  readonly folder: string;
  readonly has: (name: string) => boolean;
}

/**
 * Serves a built page, and local model files with Range, on a loopback port of its own.
 * @param root folder of the page
 * @param deliver receives the body of POST /deliver
 * @param added more response headers
 */
export async function serveFiles(root: string, deliver: (bytes: Uint8Array) => Promise<void>, added: Readonly<Record<string, string>> = {}): Promise<FileServer> {
  const models: SharedModel[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    if (path === undefined) return answerWith(response, 400);
    if (request.method === 'POST' && path === '/deliver') {
      await deliver(await bodyOf(request));
      return answerWith(response, 204);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return answerWith(response, 405, { allow: 'GET, HEAD' });
    const [, number, name] = /^\/model\/(\d+)\/([^/]+)$/.exec(path) ?? [];
    if (name === undefined) return sendFile(join(root, path === '/' ? 'index.html' : path), request, response);
    const model = models[Number(number)];
    return model?.has(name) ? sendFile(join(model.folder, name), request, response) : answerWith(response, 404);
  }

  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(added)) response.setHeader(name, value);
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end(String(error));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the file server has no port');
  const origin = `http://127.0.0.1:${address.port}`;
  return {
    origin,
    urlOf: (path) => {
      const name = basename(path);
      const number = models.push({ folder: dirname(resolve(path)), has: sameModel(name) }) - 1;
      return `${origin}/model/${number}/${encodeURIComponent(name)}`;
    },
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}

/** The request's decoded path, absolute and without `..`; undefined where it is malformed. */
function pathOf({ url = '' }: IncomingMessage): string | undefined {
  try {
    const path = decodeURIComponent(url.replace(/[?#].*/, ''));
    return path.startsWith('/') && !/[\0\\]/.test(path) ? normalize(path) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a file is this one, or another part of the same split model. */
function sameModel(name: string): (other: string) => boolean {
  const split = (given: string) => /^(.*)-\d{5}-of-(\d{5}\.gguf)$/.exec(given)?.slice(1).join('/');
  const model = split(name);
  return (other) => other === name || (model !== undefined && split(other) === model);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function sendFile(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) return answerWith(response, 404);
  const { size, mtimeMs } = info;
  const etag = `"${size}-${mtimeMs}"`;
  const range = requestedRange(request, size, etag);
  if (range === 'unsatisfiable') return answerWith(response, 416, { 'content-range': `bytes */${size}` });
  const { start, end: last } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range ? 206 : 200, {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    etag,
    'content-length': last - start + 1,
    ...(range ? { 'content-range': `bytes ${start}-${last}/${size}` } : {}),
  });
  if (request.method === 'HEAD' || size === 0) response.end();
  // Whoever asked may leave before the end.
  else await pipeline(createReadStream(path, { start, end: last }), response).catch(() => response.destroy());
}

/** The one range that is asked for (RFC 9110, section 14), last byte included; undefined for all of the file, also where the header is none that counts. */
function requestedRange({ headers }: IncomingMessage, size: number, etag: string): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (first === '') {
    if (last === '') return undefined;
    return Number(last) === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - Number(last)), end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? Infinity : Number(last);
  if (end < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end, size - 1) };
}

function answerWith(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, headers).end();
}

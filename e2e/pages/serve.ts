import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build, preview, type InlineConfig, type Plugin } from 'vite';
import { stripWesl } from '../../scripts/vite/strip-wesl.ts';

const ROOT = join(import.meta.dirname, '../..');
const FIXTURES = join(ROOT, 'packages/runtime/test/fixtures');

/** Built pages on a local server. */
export interface ServedPages {
  /** Ends with a slash. */
  readonly url: string;
  /** Path of every request so far. Nothing comes from an HTTP cache: the server forbids it. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Serves the demo as `npm start` does; builds it where that was not done yet. */
export async function serveDemo(): Promise<ServedPages> {
  const config: InlineConfig = { configFile: join(ROOT, 'vite.config.ts'), logLevel: 'warn' };
  if (!existsSync(join(ROOT, 'packages/demo/dist/index.html'))) await build(config);
  return serve(config);
}

/**
 * Builds and serves a page whose `window.gatefold` is the public API. Beside it lie the models of a folder, e.g.
 * `olmoe-q4_0/model.gguf`: by default the fixtures that are in the repository.
 */
export function serveApi(models = FIXTURES): Promise<ServedPages> {
  return serveBuilt('api', models);
}

/** Builds and serves a page with this runtime and wllama (`pages/wllama/main.ts`); beside it lie the demo's models. */
export function serveWllama(): Promise<ServedPages> {
  return serveBuilt('wllama', join(ROOT, 'packages/demo/models'));
}

/** Builds and serves a page that runs the README's example as it stands there. */
export function serveReadmeExample(): Promise<ServedPages> {
  const example: Plugin = {
    name: 'readme-example',
    enforce: 'pre',
    resolveId: (id) => (id === '/example.ts' ? id : null),
    load(id) {
      if (id !== '/example.ts') return null;
      const [, code] = /```ts\n(.*?)```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
      if (code === undefined) throw new Error('the README has no example');
      return code;
    },
  };
  return serveBuilt('readme', FIXTURES, example);
}

async function serveBuilt(page: string, models: string, ...plugins: Plugin[]): Promise<ServedPages> {
  // Test files run side by side, each with a build of its own.
  const outDir = join(ROOT, '.cache/e2e', `${page}-${process.pid}`);
  const config: InlineConfig = {
    configFile: false,
    logLevel: 'warn',
    root: join(import.meta.dirname, page),
    base: './',
    publicDir: models,
    plugins: [stripWesl(), ...plugins],
    worker: { format: 'es', plugins: () => [stripWesl()] },
    build: { target: 'es2022', outDir, emptyOutDir: true },
  };
  await build(config);
  const served = await serve(config);
  return {
    ...served,
    close: async () => {
      await served.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}

async function serve(config: InlineConfig): Promise<ServedPages> {
  const requests: string[] = [];
  const server = await preview({
    ...config,
    preview: { host: '127.0.0.1', port: 0, headers: { 'cache-control': 'no-store' } },
    plugins: [
      ...(config.plugins ?? []),
      {
        name: 'record-requests',
        configurePreviewServer({ middlewares }) {
          middlewares.use(({ url = '' }, _response, next) => {
            requests.push(url);
            next();
          });
        },
      },
    ],
  });
  const address = server.httpServer.address();
  if (address === null || typeof address === 'string') throw new Error('the pages have no port');
  return { url: `http://127.0.0.1:${address.port}/`, requests, close: () => server.close() };
}

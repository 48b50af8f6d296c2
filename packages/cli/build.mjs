// Two bundles: `dist/node` (the command itself and the engine for --host node) and `dist/page` (the page for
// --host chromium). Both contain the very same runtime sources.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));
const SOURCES = ['src', '../runtime/src', '../shaders/src'].map((path) => join(here, path));
const PRODUCTS = ['dist/node/main.js', 'dist/page/index.html'].map((path) => join(here, path));

/** Builds unless both bundles are newer than every source file. */
export async function ensureBuilt() {
  const built = Math.min(...PRODUCTS.map((path) => (existsSync(path) ? statSync(path).mtimeMs : 0)));
  if (built > Math.max(...SOURCES.map(newest))) return;
  process.stderr.write('gatefold: building (first use, or sources changed) …\n');
  await buildAll();
}

export async function buildAll() {
  const common = { configFile: false, logLevel: 'warn', clearScreen: false };
  await build({
    ...common,
    root: join(here, 'src/page'),
    base: './',
    worker: { format: 'es' },
    build: { outDir: join(here, 'dist/page'), emptyOutDir: true, target: 'es2022' },
  });
  await build({
    ...common,
    root: here,
    ssr: { noExternal: true, external: ['playwright', 'webgpu', 'vite'] },
    build: { ssr: 'src/main.ts', outDir: join(here, 'dist/node'), emptyOutDir: true, target: 'node20' },
  });
}

function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) latest = Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  }
  return latest;
}

// Two bundles, as of the command line: `.cache/bench/node` (the commands) and `.cache/bench/page` (what runs in Chromium,
// wllama included). Both contain the very same runtime sources.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const SOURCES = ['.', '../packages/cli/src', '../packages/runtime/src', '../packages/shaders/src', '../scripts'].map((path) => join(here, path));
/** Folder of the bundles. */
export const BUILT = join(here, '../.cache/bench');
const PRODUCTS = ['node/main.js', 'page/index.html'].map((path) => join(BUILT, path));

/** Builds unless both bundles are newer than every source file. */
export async function ensureBuilt() {
  const built = Math.min(...PRODUCTS.map((path) => (existsSync(path) ? statSync(path).mtimeMs : 0)));
  if (built > Math.max(...SOURCES.map(newest))) return;
  process.stderr.write('bench: building (first use, or sources changed) …\n');
  await buildAll();
}

export async function buildAll() {
  const { build } = await import('vite');
  /** @type {import('vite').InlineConfig} */
  const common = { configFile: false, logLevel: 'warn', clearScreen: false };
  await build({
    ...common,
    root: join(here, 'src/page'),
    base: './',
    worker: { format: 'es' },
    build: { outDir: join(BUILT, 'page'), emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 4000 },
  });
  await build({
    ...common,
    root: here,
    ssr: { noExternal: true, external: ['playwright', 'webgpu', 'vite'] },
    build: { ssr: 'src/main.ts', outDir: join(BUILT, 'node'), emptyOutDir: true, target: 'node20' },
  });
}

/**
 * When the newest source file of a folder was written.
 * @param {string} folder
 */
function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return latest;
}

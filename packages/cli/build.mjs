// Two bundles: `node` (the command itself and the engine for --host node) and `page` (the page for --host chromium).
// Both contain the very same runtime sources. They lie in a folder named by the hash of all that they are made of.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const dist = join(here, 'dist');
const SOURCES = ['packages/cli/src', 'packages/cli/build.mjs', 'packages/runtime/src', 'packages/shaders/src', 'scripts', 'package-lock.json'];

/**
 * Builds unless this very state of the sources was built before.
 * @returns {Promise<string>} folder of the bundles
 */
export async function ensureBuilt() {
  const built = join(dist, hashOfSources());
  if (existsSync(built)) return built;
  process.stderr.write('gatefold: building (first use, or sources changed) …\n');
  mkdirSync(dist, { recursive: true });
  const others = readdirSync(dist);
  const folder = mkdtempSync(join(dist, 'building-'));
  await build(folder);
  try {
    // At once, so that nobody ever sees half of it.
    renameSync(folder, built);
  } catch (error) {
    // Two commands may build at a time; they build the same.
    rmSync(folder, { recursive: true });
    if (!existsSync(built)) throw error;
  }
  for (const name of others) if (!name.startsWith('building-')) rmSync(join(dist, name), { recursive: true, force: true });
  return built;
}

/** @param {string} folder */
async function build(folder) {
  const vite = await import('vite');
  /** @type {import('vite').InlineConfig} */
  const common = { configFile: false, logLevel: 'warn', clearScreen: false };
  await vite.build({
    ...common,
    root: join(here, 'src/page'),
    base: './',
    worker: { format: 'es' },
    build: { outDir: join(folder, 'page'), emptyOutDir: false, target: 'es2022', chunkSizeWarningLimit: 2000 },
  });
  await vite.build({
    ...common,
    root: here,
    ssr: { noExternal: true, external: ['playwright', 'webgpu', 'ws', 'node-datachannel'] },
    build: { ssr: 'src/main.ts', outDir: join(folder, 'node'), emptyOutDir: false, target: 'node20' },
  });
}

function hashOfSources() {
  const hash = createHash('sha256');
  for (const source of SOURCES) {
    for (const path of filesOf(join(root, source))) hash.update(`${relative(root, path)}\0`).update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * The file itself, or all files of a folder in a fixed order.
 * @param {string} path
 * @returns {string[]}
 */
function filesOf(path) {
  if (!existsSync(path)) return [];
  try {
    const entries = readdirSync(path, { recursive: true, withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort();
  } catch {
    return [path];
  }
}

// Packs what `gpu.sh` needs into `.gpu-bench/app.tar.xz`, for a machine that has no network: the bundles of the bench and
// of the command line, and the parts of node_modules that they do not contain. Browser and Node.js come apart.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt as buildCli } from '../packages/cli/build.mjs';
import { BUILT, ensureBuilt } from './build.mjs';

/** What of node_modules is needed at run time, and what of that is not. */
const MODULES = [
  { path: 'playwright', without: /playwright\/(lib|types)$/ },
  { path: 'playwright-core', without: /playwright-core\/(types|lib\/(vite|tools))$/ },
  { path: 'webgpu', without: /dist\/(?!linux-x64)[^/]+$/ },
];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, '.gpu-bench/app.tar.xz');

await ensureBuilt();
const builtCli = await buildCli();
const stage = mkdtempSync(join(tmpdir(), 'gatefold-pack-'));
try {
  const app = join(stage, 'app');
  cpSync(BUILT, join(app, 'bench'), { recursive: true });
  cpSync(builtCli, join(app, 'cli'), { recursive: true });
  for (const { path, without } of MODULES) {
    cpSync(join(root, 'node_modules', path), join(app, 'node_modules', path), { recursive: true, filter: (source) => !without.test(source) });
  }
  for (const name of ['bench', 'cli']) {
    writeFileSync(join(app, `${name}.mjs`), `import { main } from './${name}/node/main.js';\nprocess.exitCode = await main(process.argv.slice(2));\n`);
  }
  mkdirSync(dirname(out), { recursive: true });
  execFileSync('tar', ['-C', stage, '-cJf', out, 'app'], { env: { ...process.env, XZ_OPT: '-9 -T0' } });
} finally {
  rmSync(stage, { recursive: true });
}
process.stdout.write(`${out}: ${(statSync(out).size / 1e6).toFixed(1)} MB\n`);

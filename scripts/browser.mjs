// Finds a Chromium, installs one where there is none, and knows the arguments that give it WebGPU.
// As a command it prints the path: `node scripts/browser.mjs`.
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright';
import { aptInstall, canAptInstall, findInPath, isExecutable, runQuietly } from './install.mjs';

const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];

/** Arguments by which a user chooses the graphics stack himself. */
const CHOOSES_GPU = /--(use-(webgpu-adapter|webgpu-power-preference|vulkan|angle|gl)|ignore-gpu-blocklist|enable-features=\S*Vulkan)/;

/**
 * The path of a Chromium: `CHROME_PATH`, then Playwright's own, then the system's. Where there is none, Playwright
 * installs its own; where that can't be downloaded and this is Debian with root, apt-get installs the system's.
 * @returns {Promise<string>}
 * @throws where `CHROME_PATH` is not a program, or none is found and none could be installed
 */
export async function findChromium() {
  const found = presentChromium();
  if (found) return found;
  process.stderr.write('No Chromium found: installing one.\n');
  installWithPlaywright();
  const installed = presentChromium() ?? (canAptInstall() && aptInstall(['chromium']) ? presentChromium() : undefined);
  if (installed) return installed;
  throw new Error('No Chromium, and none could be installed: install Chromium or Chrome, or set CHROME_PATH to its program.');
}

/**
 * The path of a Chromium that is already there.
 * @returns {string | undefined}
 */
export function presentChromium() {
  const chosen = process.env['CHROME_PATH'];
  if (chosen) {
    if (!isExecutable(chosen)) throw new Error(`CHROME_PATH is "${chosen}", which is not a program that can be run.`);
    return chosen;
  }
  const own = chromium.executablePath();
  return own && existsSync(own) ? own : findInPath(SYSTEM_NAMES);
}

/**
 * Dawn features to turn off on SwiftShader: its compiler takes this way of clearing workgroup memory word by word, a
 * millisecond a word. Dawn then clears it by a loop.
 */
export const SLOW_ON_SWIFTSHADER = 'use_vulkan_zero_initialize_workgroup_memory_extension';

/**
 * Arguments that give a headless Chromium WebGPU. By default on SwiftShader, which is everywhere and computes the same
 * everywhere; on the real GPU with `GATEFOLD_GPU=real`. `CHROME_ARGS` (parted by spaces) are added; where they choose
 * the graphics stack themselves (`--use-webgpu-adapter`, `--use-vulkan`, `--use-angle`, …) our choice is left out.
 * @param {Readonly<Record<string, string | undefined>>} [env]
 * @returns {string[]}
 */
export function chromiumArgs(env = process.env) {
  const added = (env['CHROME_ARGS'] ?? '').split(/\s+/).filter(Boolean);
  const args = ['--enable-unsafe-webgpu'];
  // Chromium's sandbox refuses to start for root.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  if (!added.some((arg) => CHOOSES_GPU.test(arg))) {
    if (env['GATEFOLD_GPU'] !== 'real') args.push('--use-webgpu-adapter=swiftshader', `--disable-dawn-features=${SLOW_ON_SWIFTSHADER}`);
    // Elsewhere than on Linux the GPU is used as it is.
    else if (process.platform === 'linux') args.push('--ignore-gpu-blocklist', '--use-angle=vulkan', '--enable-features=Vulkan');
  }
  return [...args, ...added];
}

/**
 * Description of SwiftShader's Vulkan driver, which lies beside every Chromium: lets Node's Dawn (`VK_ICD_FILENAMES`)
 * compute on the same CPU adapter.
 * @returns {string | undefined}
 */
export function swiftShaderIcd() {
  const program = presentChromium();
  const folders = [...(program ? [dirname(program), dirname(realpathSync(program))] : []), '/usr/lib/chromium', '/opt/google/chrome'];
  return folders.map((folder) => join(folder, 'vk_swiftshader_icd.json')).find((path) => existsSync(path));
}

function installWithPlaywright() {
  const cli = join(dirname(createRequire(import.meta.url).resolve('playwright/package.json')), 'cli.js');
  const install = [cli, 'install', 'chromium'];
  // `--with-deps` needs a package manager and root; without them the browser alone may still do.
  return (canAptInstall() && runQuietly(process.execPath, [...install, '--with-deps'])) || runQuietly(process.execPath, install);
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  process.stdout.write(`${await findChromium()}\n`);
}

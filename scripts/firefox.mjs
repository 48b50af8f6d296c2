// Finds a Firefox and the llvmpipe driver that its WebGPU (and Deno's) computes on where there is no GPU.
// As a command it prints Firefox's path: `node scripts/firefox.mjs`.
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { aptInstall, canAptInstall, findInPath, inCi, isExecutable } from './install.mjs';

const ICD_FOLDERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d'];

/**
 * The path of a Firefox: `FIREFOX_PATH`, then the system's. In CI on Debian a missing one is installed.
 * @returns {string | undefined} undefined where there is none; the caller skips what needs it, or fails in CI
 */
export function findFirefox() {
  const chosen = process.env['FIREFOX_PATH'];
  if (chosen) {
    if (!isExecutable(chosen)) throw new Error(`FIREFOX_PATH is "${chosen}", which is not a program that can be run.`);
    return chosen;
  }
  return orInstalled(() => findInPath(['firefox-esr', 'firefox']), 'firefox-esr');
}

/**
 * Description of Mesa's CPU Vulkan driver (llvmpipe), for `VK_ICD_FILENAMES`. In CI on Debian a missing one is installed.
 * @returns {string | undefined}
 */
export function findLlvmpipeIcd() {
  return orInstalled(presentLlvmpipe, 'mesa-vulkan-drivers');
}

/** @returns {string | undefined} */
function presentLlvmpipe() {
  return ICD_FOLDERS.filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
    .find((path) => /lvp_icd.*\.json$/.test(path));
}

/**
 * @param {() => string | undefined} find
 * @param {string} debianPackage
 */
function orInstalled(find, debianPackage) {
  return find() ?? (inCi && canAptInstall() && aptInstall([debianPackage]) ? find() : undefined);
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const path = findFirefox();
  if (path) process.stdout.write(`${path}\n`);
  else {
    process.stderr.write('No Firefox found: install it, or set FIREFOX_PATH to its program.\n');
    process.exitCode = 1;
  }
}

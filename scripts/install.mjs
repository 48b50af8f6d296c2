// Putting missing programs on the machine. Everything printed goes to stderr: stdout belongs to the caller.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Is this a continuous-integration run (`CI=true`)? There a missing host fails instead of being skipped. */
export const inCi = process.env['CI'] === 'true' || process.env['CI'] === '1';

/**
 * The first of `names` that can be run, as a whole path.
 * @param {readonly string[]} names
 * @returns {string | undefined}
 */
export function findInPath(names) {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/** @param {string} path */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Can packages be installed by apt-get here (a Debian-like system, and we are root)? */
export function canAptInstall() {
  return process.getuid?.() === 0 && findInPath(['apt-get']) !== undefined;
}

/**
 * Installs Debian packages; false where that failed.
 * @param {readonly string[]} packages
 */
export function aptInstall(packages) {
  return (
    runQuietly('apt-get', ['update', '-q']) && runQuietly('apt-get', ['install', '-qy', '--no-install-recommends', ...packages])
  );
}

/**
 * Runs a command with its output on stderr; false where it failed or took over ten minutes.
 * @param {string} command
 * @param {readonly string[]} args
 */
export function runQuietly(command, args) {
  process.stderr.write(`> ${command} ${args.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(command, args, { stdio: ['ignore', 2, 2], timeout: 600_000, env }).status === 0;
}

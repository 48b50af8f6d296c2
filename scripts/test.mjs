// Everything that must hold, in one command: `npm test`. Names of stages as arguments run only these:
// `npm test -- lint vitest`. Every stage runs even where one before it failed; the last line sums all up.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { findChromium } from './browser.mjs';
import { findFirefox, findLlvmpipeIcd } from './firefox.mjs';
import { inCi } from './install.mjs';

/**
 * `failures`: each failed test's name and the first line of what it says.
 * @typedef {{ passed: number, failed: number, skipped: number, failures: readonly string[] }} Counts
 * @typedef {{ name: string, command: readonly string[], env?: Record<string, string>, count?: () => Counts }} Stage
 */

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const results = join(root, 'test-results');
const vitestReport = join(results, 'vitest.json');
const playwrightReport = join(results, 'playwright.json');

/** @type {readonly Stage[]} */
const STAGES = [
  { name: 'typecheck', command: ['tsc', '-p', 'tsconfig.json', '--noEmit'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'unused', command: ['knip'] },
  { name: 'build-demo', command: ['vite', 'build', '--logLevel', 'warn'] },
  { name: 'build-library', command: ['vite', 'build', '-c', 'packages/runtime/vite.config.ts', '--logLevel', 'warn'] },
  { name: 'size', command: ['size-limit'] },
  {
    name: 'vitest',
    command: ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`],
    count: countVitest,
  },
  {
    name: 'e2e',
    command: ['playwright', 'test', '--reporter=list,json'],
    env: { PLAYWRIGHT_JSON_OUTPUT_NAME: playwrightReport },
    count: countPlaywright,
  },
  { name: 'mesh-soak', command: [process.execPath, join(root, 'bench/bench.mjs'), 'mesh-soak', '--minutes', '2'] },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  process.stderr.write(`No such stage: ${unknown.join(', ')}. There are ${STAGES.map(({ name }) => name).join(', ')}.\n`);
  process.exit(2);
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
await showHosts();

const rows = STAGES.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).map((stage) => ({
  name: stage.name,
  ...runStage(stage),
}));

const width = Math.max(...rows.map(({ name }) => name.length));
console.log('\n--- summary');
for (const { name, passed, failed, skipped, seconds } of rows) {
  const notes = skipped > 0 ? `, ${skipped} skipped` : '';
  console.log(`${failed > 0 ? 'FAIL' : 'ok  '} ${name.padEnd(width)} ${passed} passed, ${failed} failed${notes} (${seconds} s)`);
}
// Last, since of a long log only the end may be kept.
for (const line of rows.flatMap(({ failures }) => failures)) console.log(`FAIL ${line}`);
const sum = (/** @type {'passed' | 'failed' | 'skipped'} */ key) => rows.reduce((total, row) => total + row[key], 0);
process.exitCode = sum('failed') > 0 ? 1 : 0;
const skipped = sum('skipped');
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

/**
 * Runs one stage with its output shown as it comes. A stage without counts is one test; one that ends badly has at
 * least one failure, whatever it counted. In CI a skipped test is a failure: every host must be there.
 * @param {Stage} stage
 * @returns {Counts & { seconds: number }}
 */
function runStage({ name, command, env, count }) {
  console.log(`\n--- ${name}`);
  const [program = '', ...args] = command;
  const started = Date.now();
  const { status } = spawnSync(resolve(root, 'node_modules/.bin', program), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  const seconds = Math.round((Date.now() - started) / 1000);
  const good = status === 0;
  const counts = count ? readCounts(count) : { passed: good ? 1 : 0, failed: 0, skipped: 0, failures: [] };
  const failed = counts.failed + (inCi ? counts.skipped : 0);
  return { ...counts, failed: good ? failed : Math.max(1, failed), skipped: inCi ? 0 : counts.skipped, seconds };
}

/**
 * @param {() => Counts} count
 * @returns {Counts}
 */
function readCounts(count) {
  try {
    return count();
  } catch (error) {
    console.log(`no report of this stage: ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 1, skipped: 0, failures: [] };
  }
}

/** @returns {Counts} */
function countVitest() {
  const report = JSON.parse(readFileSync(vitestReport, 'utf8'));
  /** @type {{ name: string, status: string, message: string, assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }[]} */
  const files = report.testResults;
  // A file that fails outside its tests (an import, a hook) counts as one more failure.
  const broken = files.filter((file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures: [
      ...broken.map(({ name, message }) => failure(relative(root, name), message)),
      ...files.flatMap(({ name, assertionResults }) =>
        assertionResults
          .filter(({ status }) => status === 'failed')
          .map(({ fullName, failureMessages: [message] }) => failure(`${relative(root, name)} ${fullName}`, message)),
      ),
    ],
  };
}

/** @returns {Counts} */
function countPlaywright() {
  const { stats, errors, suites } = JSON.parse(readFileSync(playwrightReport, 'utf8'));
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky + errors.length,
    skipped: stats.skipped,
    failures: [
      ...errors.map((/** @type {{ message?: string }} */ { message }) => failure('playwright', message)),
      ...suites.flatMap(playwrightFailures),
    ],
  };
}

/**
 * @typedef {{ title: string, file: string, ok: boolean, tests: { results: { error?: { message?: string } }[] }[] }} Spec
 * @typedef {{ suites?: readonly Suite[], specs?: readonly Spec[] }} Suite a file or a `describe`
 * @param {Suite} suite
 * @returns {string[]}
 */
function playwrightFailures({ suites = [], specs = [] }) {
  const own = specs
    .filter(({ ok }) => !ok)
    .map(({ file, title, tests }) => failure(`${file} ${title}`, tests[0]?.results[0]?.error?.message));
  return [...own, ...suites.flatMap(playwrightFailures)];
}

/**
 * @param {string} test
 * @param {string} [message] of several lines, maybe in colours
 * @returns {string} one line
 */
function failure(test, message = '') {
  const [first = ''] = stripVTControlCharacters(message).split('\n');
  return `${test}: ${first}`;
}

/** Finds or installs what tests run in, and says what is missing. */
async function showHosts() {
  console.log('--- hosts');
  try {
    console.log(`Chromium: ${await findChromium()}`);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
  console.log(`Firefox: ${findFirefox() ?? 'none (its tests are skipped)'}`);
  console.log(`llvmpipe, for Deno and Firefox: ${findLlvmpipeIcd() ?? 'none (their tests are skipped)'}`);
}

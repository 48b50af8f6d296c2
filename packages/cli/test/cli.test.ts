// The real command on a model whose outputs are known, in both hosts.
import { mkdtempSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EvalTensors } from '@gatefold/runtime';
import { differences, readReference } from '../../runtime/test/fixtures/reference.ts';
import { readSafetensors } from '../../runtime/test/fixtures/safetensors.ts';
import { pair, tinyModel } from '../../runtime/test/gguf/tiny-model.ts';
import { T, writeGguf } from '../../runtime/test/gguf/write-gguf.ts';
import { gatefold, lastLine } from './cli.ts';

const FOLDER = join(import.meta.dirname, '../../runtime/test/fixtures/olmoe-q4_0');
const MODEL = join(FOLDER, 'model.gguf');
const { prompts, tensors } = readReference(FOLDER);
const STATS = ['prefill_ms', 'decode_ms', 'prefill_tps', 'decode_tps', 'dispatches_per_token', 'submits_per_token', 'readbacks_per_token', 'bytes_fetched', 'shards_fetched', 'shards_total', 'expert_hits', 'expert_misses', 'gpu_bytes'];
/** Shaders are compiled anew for each command, and a CPU takes its time. */
const PATIENCE = 600_000;

/** Where commands are called: paths are relative to it. */
const scratch = mkdtempSync(join(tmpdir(), 'gatefold-'));
beforeAll(async () => {
  // Builds, if that was not done before.
  expect(await gatefold(['help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('gatefold generate') });
}, PATIENCE);
afterAll(() => rm(scratch, { recursive: true }));

describe.each(['chromium', 'node'])('in %s', (host) => {
  const [prompt] = prompts;
  const ids = prompt?.ids.join(',') ?? '';
  const onModel = ['--model', relative(scratch, MODEL), '--context', '128', '--host', host];

  test('generate --json gives the tokens of the reference, and all that was agreed on', async () => {
    const { code, stdout, stderr } = await gatefold(['generate', ...onModel, '--ids', ids, '--max-tokens', '32', '--json'], { cwd: scratch });
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.not.stringContaining('gatefold:') });
    const { before, json } = lastLine(stdout);
    expect(Object.keys(json)).toEqual(['ids', 'text', 'prompt_ids', 'stats']);
    expect(json['ids']).toHaveLength(32);
    expect((json['ids'] as number[]).slice(0, prompt?.robust_tokens)).toEqual(prompt?.greedy.slice(0, prompt.robust_tokens));
    expect(json['prompt_ids']).toEqual(prompt?.ids);
    expect(before).toBe(json['text']);
    const stats = json['stats'] as Record<string, unknown>;
    for (const name of STATS) expect(stats).toHaveProperty(name, expect.any(Number));
    expect(stats['adapter']).toMatchObject({ vendor: expect.any(String), features: expect.any(Array), max_buffer_size: expect.any(Number) });
    expect(stats['submits_per_token']).toBe(1);
  }, PATIENCE);

  test('eval writes what the reference has, within its tolerances', async () => {
    const { code, stderr } = await gatefold(['eval', ...onModel, '--ids', ids, '--out', `${host}.safetensors`], { cwd: scratch });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const written = Object.fromEntries(readSafetensors(join(scratch, `${host}.safetensors`))) as EvalTensors;
    expect(differences(written, tensors, 0)).toEqual([]);
  }, PATIENCE);

  test('Ctrl-C ends a chat within a moment, and says so', async () => {
    const { code, stdout, stderr } = await gatefold(['generate', ...onModel, '--chat', 'Hello', '--max-tokens', '100', '--json'], { cwd: scratch, interrupt: 'SIGINT' });
    expect(stderr).toMatch(/\ngatefold: cancelled\n$/);
    expect(code).toBe(130);
    expect(stdout).not.toContain('prompt_ids');
  }, PATIENCE);

  test('a file that is no model is one line with a code', async () => {
    await writeFile(join(scratch, 'page.gguf'), '<!doctype html><title>no model</title>');
    const { code, stdout, stderr } = await gatefold(['generate', '--model', 'page.gguf', '--host', host, '--ids', '1'], { cwd: scratch });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^gatefold: .*page\.gguf: .* \[gguf-magic\]$/m);
  }, PATIENCE);

  test('doctor --json describes the adapter', async () => {
    const { code, stdout } = await gatefold(['doctor', '--host', host, '--json']);
    expect(code).toBe(0);
    expect(lastLine(stdout).json).toMatchObject({ adapter: { vendor: 'google' }, limits: { maxBufferSize: expect.any(Number) }, advice: expect.arrayContaining([expect.stringContaining('CPU')]) });
  }, PATIENCE);
});

describe('a split model', () => {
  const names = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'] as const;
  const files = new Map<string, Uint8Array>();
  beforeAll(async () => {
    const { pairs, tensors: all } = tinyModel({ arch: 'olmoe' });
    const part = (no: number, some: typeof all) => writeGguf({ pairs: [...(no === 0 ? pairs : []), pair('split.no', T.u16, no), pair('split.count', T.u16, 2)], tensors: some }).bytes;
    files.set(names[0], part(0, all.slice(0, 5))).set(names[1], part(1, all.slice(5)));
    for (const [name, bytes] of files) await writeFile(join(scratch, name), bytes);
  });

  test('by a path: bench keeps within the context, and reports rates', async () => {
    const { code, stdout } = await gatefold(['bench', '--model', names[0], '--host', 'node', '--json', '--prompt-tokens', '60', '--gen-tokens', '8', '--runs', '2'], { cwd: scratch });
    expect(code).toBe(0);
    const { before, json } = lastLine(stdout);
    expect(before).toBe('');
    expect(json).toMatchObject({ prompt_tokens: 56, gen_tokens: 8, prefill_tps: expect.any(Number), decode_tps: expect.any(Number), runs: [{ generated_tokens: 8 }, { prompt_tokens: 56 }] });
  }, PATIENCE);

  test('by a path: bench --profile times every stage against its floor', async () => {
    const { code, stdout } = await gatefold(['bench', '--profile', '--model', names[0], '--host', 'node', '--json', '--prompt-tokens', '60'], { cwd: scratch });
    expect(code).toBe(0);
    const stage = { dispatches: expect.any(Number), us: expect.any(Number), floor_us: expect.any(Number) };
    const pass = { whole_us: expect.any(Number), stages: expect.arrayContaining([expect.objectContaining({ stage: 'qkv', ...stage }), expect.objectContaining({ stage: 'expert_down', ...stage })]) };
    expect(lastLine(stdout).json).toMatchObject({ read_bytes_per_us: expect.any(Number), dispatch_us: expect.any(Number), decode: { ...pass, context: 60 }, prefill: pass });
  }, PATIENCE);

  test('from a server that knows neither CORS nor Range, with all settings of sampling', async () => {
    const server = createServer(({ url = '' }, response) => {
      const bytes = files.get(url.slice(1));
      response.writeHead(bytes ? 200 : 404, { 'content-length': bytes?.length ?? 0 }).end(bytes);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      const sampling = '--temperature 0.8 --top-k 3 --top-p 0.9 --min-p 0.01 --repeat-penalty 1.1 --seed 3'.split(' ');
      const { code, stdout, stderr } = await gatefold(['generate', '--model', `http://127.0.0.1:${port}/${names[1]}`, '--ids', '1,2', '--max-tokens', '3', '--json', ...sampling]);
      expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('HTTP Range') });
      expect(lastLine(stdout).json['ids']).toHaveLength(3);
    } finally {
      server.close();
    }
  }, PATIENCE);
});

test.each([
  [['generate', '--ids', '1'], 2, /^gatefold: --model is missing\. .*\[usage\]$/m],
  [['generate', '--model', 'none.gguf', '--ids', '1'], 1, /^gatefold: .*none\.gguf: there is no such file\..*\[source-missing\]$/m],
  [['generate', '--model', MODEL, '--ids', '1', '--host', 'firefox'], 2, /^gatefold: --host is "firefox".*\[usage\]$/m],
  [['eval', '--model', MODEL, '--ids', '1'], 2, /^gatefold: --out is missing\. .*\[usage\]$/m],
  [['speak'], 2, /^gatefold: There is no command "speak".*\[usage\]$/m],
])('%j fails before anything is started', async (args, status, message) => {
  const { code, stdout, stderr } = await gatefold(args, { cwd: scratch });
  expect([code, stdout]).toEqual([status, '']);
  expect(stderr).toMatch(message);
}, PATIENCE);

test('the command is there after npm ci, by its name', async () => {
  const link = join(import.meta.dirname, '../../../node_modules/.bin/gatefold');
  expect(await readFile(link, 'utf8')).toBe(await readFile(join(dirname(import.meta.dirname), 'bin/gatefold.mjs'), 'utf8'));
});

test('a model in a budget writes the same tokens, and which experts they used', async () => {
  const [prompt] = prompts;
  const trace = join(scratch, 'trace.json');
  const args = ['generate', '--model', MODEL, '--context', '128', '--host', 'node', '--ids', prompt?.ids.join(',') ?? '', '--max-tokens', '8', '--gpu-budget', '25%', '--host-budget', '1MB', '--trace', trace, '--json'];
  const { code, stdout } = await gatefold(args);
  expect(code).toBe(0);
  const { ids, stats } = lastLine(stdout).json as { readonly ids: number[]; readonly stats: Record<string, number> };
  expect(ids).toEqual(prompt?.greedy.slice(0, 8));
  expect(stats['expert_misses']).toBeGreaterThan(0);
  expect(stats['expert_bytes']).toBeGreaterThan(0);
  const { experts, tokens } = JSON.parse(await readFile(trace, 'utf8')) as { readonly experts: number[]; readonly tokens: number[][][] };
  expect(experts).toEqual([16, 16]);
  expect(tokens.map((token) => token.map(({ length }) => length))).toEqual(Array.from({ length: 8 }, () => [4, 4]));
}, PATIENCE);

test('a budget that is no budget, and one that is too small, are told in one line', async () => {
  const run = (budget: string) => gatefold(['generate', '--model', MODEL, '--host', 'node', '--ids', '1', '--gpu-budget', budget]);
  expect(await run('half')).toMatchObject({ code: 1, stderr: expect.stringMatching(/gpuBudget is half, but must be bytes.*\[bad-option\]/) });
  expect(await run('100kB')).toMatchObject({ code: 1, stderr: expect.stringMatching(/budget of 100000 bytes is too small.*at least \d+.*\[gpu-budget-too-small\]/) });
}, PATIENCE);

test('manifest and verify: a damaged shard is named', async () => {
  const model = join(scratch, 'copy.gguf');
  await writeFile(model, await readFile(MODEL));
  expect(await gatefold(['verify', model])).toMatchObject({ code: 1, stderr: expect.stringMatching(/there is no manifest.*\[manifest\]/) });
  expect(await gatefold(['manifest', 'copy.gguf'], { cwd: scratch })).toMatchObject({ code: 0, stderr: expect.stringContaining('copy.gguf.gatefold.json: 37 shards') });
  expect(await gatefold(['verify', model])).toMatchObject({ code: 0, stderr: expect.stringContaining('all 37 shards') });
  const bytes = await readFile(model);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  await writeFile(model, bytes);
  const { code, stdout, stderr } = await gatefold(['verify', model, '--json']);
  expect(code).toBe(1);
  expect(lastLine(stdout).json).toMatchObject({ shards: 37, damaged: [expect.stringMatching(/^layer\.1\./)] });
  expect(stderr).toMatch(/1 of 37 shards.*\[shard-hash\]/);
}, PATIENCE);

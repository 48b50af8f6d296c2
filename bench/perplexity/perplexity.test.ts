// `npm run eval:demo` for real: the demo's models in headless Chromium, against PyTorch's numbers.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkDifferences } from './command.ts';
import type { PerplexityResult } from './types.ts';

const ROOT = join(import.meta.dirname, '../..');

it('both shipped models have the perplexity that PyTorch computes', () => {
  // On the CPU adapter that is the same everywhere.
  const env = { ...process.env, GATEFOLD_GPU: 'software' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bench/bench.mjs', 'perplexity', '--json'], { cwd: ROOT, env, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const { models, tolerance }: PerplexityResult = JSON.parse(stdout);
  expect(tolerance).toBe(0.005);
  expect(models.map(({ model }) => model)).toEqual(['gatefold-stories-moe.gguf', 'gatefold-stories-mos.gguf']);
  for (const { difference, tokens } of models) {
    expect(Math.abs(difference)).toBeLessThan(0.005);
    expect(tokens).toBeGreaterThan(900);
  }
}, 600_000);

it('a difference above the tolerance, or none at all, fails by name', () => {
  const rows = [{ model: 'a', difference: 0.004 }, { model: 'b', difference: -0.006 }, { model: 'c', difference: NaN }];
  expect(() => checkDifferences(rows, 0.005)).toThrow("differs from PyTorch's by more than 0.5%: b, c");
  expect(() => checkDifferences(rows.slice(0, 1), 0.005)).not.toThrow();
});

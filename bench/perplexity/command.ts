import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { number, type Options } from '../../packages/cli/src/args.ts';
import { JobError } from '../../packages/cli/src/hosts/host.ts';
import { print, runAlone } from '../src/command.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { shippedModels } from '../src/shipped-models.ts';
import type { PerplexityResult, PerplexityRow } from './types.ts';

/** The held-out texts and what PyTorch makes of them (`tools/train/reference.py`), from the project's root. */
const REFERENCES = 'packages/runtime/test/fixtures/gatefold-stories';
const TEXT = 'held-out.txt';
const SEPARATOR = '<|endoftext|>';
const DEFAULT_TOLERANCE_PERCENT = 0.5;

/** Perplexity of each shipped model in this runtime, held against PyTorch's. Throws `JobError` where one is off. */
export async function perplexityCommand(options: Options): Promise<void> {
  const tolerance = (number(options, 'tolerance') ?? DEFAULT_TOLERANCE_PERCENT) / 100;
  const texts = readFileSync(join(REFERENCES, TEXT), 'utf8').split(SEPARATOR).map((text) => text.trim());
  const models: PerplexityRow[] = [];
  for (const { name, path } of shippedModels()) {
    const pytorch = referencePerplexity(name);
    const report = await runAlone({ ...options, model: path }, 'perplexity', { texts });
    const perplexity = Math.exp(report.loss);
    models.push({ model: name, ...report, perplexity, pytorch, difference: perplexity / pytorch - 1 });
  }
  await print(options, { command: 'perplexity', text: TEXT, tolerance, models }, showPerplexity);
  checkDifferences(models, tolerance);
}

/** Throws `JobError` where a model's perplexity is further from PyTorch's than the tolerance, or no number. */
export function checkDifferences(models: readonly Pick<PerplexityRow, 'model' | 'difference'>[], tolerance: number): void {
  const off = models.filter(({ difference }) => !(Math.abs(difference) <= tolerance));
  if (off.length > 0) throw new JobError('perplexity', `perplexity differs from PyTorch's by more than ${tolerance * 100}%: ${off.map(({ model }) => model).join(', ')}`);
}

/** What PyTorch computes from the file of this name. */
function referencePerplexity(model: string): number {
  for (const file of readdirSync(REFERENCES).filter((name) => name.endsWith('.json'))) {
    const reference: { readonly model: string; readonly held_out: { readonly loss: number } } = JSON.parse(readFileSync(join(REFERENCES, file), 'utf8'));
    if (reference.model === model) return Math.exp(reference.held_out.loss);
  }
  throw new JobError('no-reference', `${REFERENCES} has no reference for ${model}: make one with tools/train/reference.py.`);
}

function showPerplexity({ text, tolerance, models }: PerplexityResult): string {
  const rows = models.map(({ model, tokens, loss, perplexity, pytorch, difference }) => [
    model,
    String(tokens),
    loss.toFixed(5),
    perplexity.toFixed(4),
    pytorch.toFixed(4),
    `${digits(difference * 100)}%`,
  ]);
  return [`perplexity of ${text} · allowed ${digits(tolerance * 100)}%`, '', table(['model', 'tokens', 'loss', 'perplexity', 'PyTorch', 'difference'], rows)].join('\n');
}

import type { Model } from '@gatefold/runtime';
import type { Emit, Environment } from '../src/job.ts';
import type { PerplexityJob, PerplexityReport } from './types.ts';

/** Mean loss of texts, each alone: its tokens with what the model puts before a text as input, and its end as the last target. */
export async function measurePerplexity({ texts }: PerplexityJob, environment: Environment, emit: Emit): Promise<PerplexityReport> {
  const model = await environment.load({ store: 'none' });
  try {
    let total = 0;
    let tokens = 0;
    for (const [number, text] of texts.entries()) {
      const losses = await textLosses(model, text);
      total += losses.reduce((sum, loss) => sum + loss, 0);
      tokens += losses.length;
      emit(`text ${number + 1} of ${texts.length}`);
    }
    return { tokens, loss: total / tokens };
  } finally {
    await model.dispose();
  }
}

/** −log p of each of a text's tokens and of the end of text after them, in nats. */
async function textLosses(model: Model, text: string): Promise<number[]> {
  const [end] = model.info.eosIds;
  if (end === undefined) throw new Error('the model names no token that ends a text');
  const ids = await model.tokenize(text);
  const { logits } = await model.evaluate(ids);
  if (!logits) throw new Error('the model computed no logits');
  const width = model.info.spec.vocabSize;
  return [...ids.slice(1), end].map((target, position) => tokenLoss(logits.data.subarray(position * width, (position + 1) * width), target));
}

/** log Σ exp(logits) − logits[target]. */
function tokenLoss(logits: ArrayLike<number>, target: number): number {
  let largest = -Infinity;
  for (let i = 0; i < logits.length; i++) largest = Math.max(largest, logits[i] ?? NaN);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] ?? NaN) - largest);
  return largest + Math.log(sum) - (logits[target] ?? NaN);
}

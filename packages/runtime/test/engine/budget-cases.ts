import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import type { Fixture } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';
import { CONTEXT, openFixture, type OpenFixture } from './open-fixture.ts';

const GENERATED = 10;

interface Results {
  /** Everything that the prefill kernels compute for the long prompt: hashes of the tensors by name. */
  readonly prefill: Readonly<Record<string, string>>;
  /** What decode says after the short prompt: ids, experts, and log-probabilities, which tell of the logits. */
  readonly tokens: readonly unknown[];
}

async function compute({ model }: OpenFixture, prompts: readonly { readonly ids: readonly number[] }[]): Promise<Results> {
  const [short, long] = prompts.map(({ ids }) => ids);
  if (!short || !long) throw new Error('a fixture has two prompts');
  const tensors = Object.entries(await model.evaluate(long));
  const prefill = Object.fromEntries(tensors.map(([name, { data }]) => [name, createHash('sha256').update(data).digest('hex')]));
  const session = await model.createSession();
  const tokens: unknown[] = [];
  await session.generate({ promptIds: short, maxTokens: GENERATED, stopIds: [], topLogprobs: 20 }, { onToken: (token) => tokens.push(token) });
  model.disposeSession(session);
  return { prefill, tokens };
}

/** All of these for the fixtures of this repository; for those beside the checkout the hardest one, unless asked for more. */
const BUDGETS = ['1%', '25%', '50%', '100%'];
const isThorough = process.env['GATEFOLD_THOROUGH'] === '1';

/** Models with fewer slots than experts give the same numbers as with all experts resident, bit for bit. */
export function describeBudgets({ folder, inRepository }: Fixture, allResident: () => OpenFixture): void {
  const { prompts, tensors } = readReference(folder);
  if (![...tensors.keys()].some((tensor) => tensor.includes('.moe.'))) return;

  describe('in a GPU budget', () => {
    let resident: Results;
    beforeAll(async () => {
      resident = await compute(allResident(), prompts);
    });

    for (const gpuBudget of isThorough || inRepository ? BUDGETS : BUDGETS.slice(0, 1)) {
      it(`of ${gpuBudget === '1%' ? 'top-k experts a layer' : `${gpuBudget} of the experts`}: every value and token is the same`, async () => {
        const { model, stray } = await openFixture(folder, { contextLength: CONTEXT, gpuBudget });
        try {
          expect(await compute({ model, stray }, prompts)).toEqual(resident);
          expect(stray).toEqual([]);
          const share = Number.parseInt(gpuBudget) / 100;
          for (const { index, ffn } of moeLayers(model.spec)) {
            expect(model.weights.experts(index).slotCount).toBe(Math.max(ffn.topK, Math.floor(ffn.experts * share)));
          }
        } finally {
          model.dispose();
        }
      });
    }
  });
}

// Models with fewer slots than experts on Node's Dawn: the same numbers as with all experts resident, bit for bit.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';
import { openFixture, type OpenFixture } from './open-fixture.ts';

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

for (const { name, folder, inRepository } of fixtures()) {
  const { arch, prompts, tensors } = readReference(folder);
  const hasExperts = [...tensors.keys()].some((tensor) => tensor.includes('.moe.'));
  if (!SUPPORTED_FAMILIES.includes(arch) || !hasExperts) continue;

  describe(`fixture ${name} in a GPU budget`, () => {
    let resident: Results;
    const opened: OpenFixture[] = [];
    const openIn = async (gpuBudget?: string): Promise<OpenFixture> => {
      const open = await openFixture(folder, { contextLength: 128, ...(gpuBudget === undefined ? {} : { gpuBudget }) });
      opened.push(open);
      return open;
    };
    beforeAll(async () => {
      resident = await compute(await openIn(), prompts);
    });
    afterAll(() => {
      for (const { model, device } of opened) {
        model.dispose();
        device.destroy();
      }
    });

    for (const gpuBudget of isThorough || inRepository ? BUDGETS : BUDGETS.slice(0, 1)) {
      it(`of ${gpuBudget === '1%' ? 'top-k experts a layer' : `${gpuBudget} of the experts`}: every value and token is the same`, async () => {
        const open = await openIn(gpuBudget);
        const paged = await compute(open, prompts);
        expect(paged).toEqual(resident);
        expect(open.stray).toEqual([]);
        const share = Number.parseInt(gpuBudget) / 100;
        for (const { index, ffn } of moeLayers(open.model.spec)) {
          expect(open.model.weights.experts(index).slotCount).toBe(Math.max(ffn.topK, Math.floor(ffn.experts * share)));
        }
      });
    }
  });
}

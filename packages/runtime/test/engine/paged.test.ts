// Models with fewer slots than experts on Node's Dawn: the same numbers as with all experts resident, bit for bit.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvalTensors } from '../../src/api/types.ts';
import { SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';
import { openFixture, type OpenFixture } from './open-fixture.ts';

const GENERATED = 10;

interface Results {
  /** Of the long prompt by the prefill kernels, and of the short one by those of decode: hashes of all tensors by name. */
  readonly evaluated: readonly Readonly<Record<string, string>>[];
  readonly tokens: readonly number[];
  readonly experts: readonly (readonly (readonly number[])[])[];
}

function hashes(tensors: EvalTensors): Record<string, string> {
  return Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, createHash('sha256').update(data).digest('hex')]));
}

/** Everything that a model computes for a fixture's prompts. */
async function compute({ model }: OpenFixture, prompts: readonly { readonly ids: readonly number[] }[]): Promise<Results> {
  const [short, long] = prompts.map(({ ids }) => ids);
  if (!short || !long) throw new Error('a fixture has two prompts');
  const evaluated = [hashes(await model.evaluate(long)), hashes(await model.evaluate(short, { chunk: 1 }))];
  const session = await model.createSession();
  const experts: (readonly (readonly number[])[])[] = [];
  const { ids } = await session.generate({ promptIds: short, maxTokens: GENERATED, stopIds: [] }, { onToken: (token) => experts.push(token.experts) });
  model.disposeSession(session);
  return { evaluated, tokens: ids, experts };
}

for (const { name, folder } of fixtures()) {
  const { arch, prompts } = readReference(folder);
  if (!SUPPORTED_FAMILIES.includes(arch)) continue;

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

    for (const gpuBudget of ['1%', '25%', '50%', '100%']) {
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

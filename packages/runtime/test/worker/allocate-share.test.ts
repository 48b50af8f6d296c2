import { expect, test } from 'vitest';
import type { Warning } from '../../src/api/types.ts';
import { OutOfGpuMemoryError } from '../../src/engine/errors.ts';
import type { LoadedModel } from '../../src/engine/loaded-model.ts';
import { allocateShare } from '../../src/worker/allocate-share.ts';

/** Allocates on a GPU that has room for some budgets only; what was tried, and what was warned of. */
async function tryOn(...fits: readonly string[]) {
  const tried: string[] = [];
  const warnings: Warning[] = [];
  const failure = new OutOfGpuMemoryError(1, 'no room');
  const allocate = async (gpuBudget: string) => {
    tried.push(gpuBudget);
    if (!fits.includes(gpuBudget)) throw new OutOfGpuMemoryError(1, 'no room');
    return {} as unknown as LoadedModel;
  };
  const outcome = await allocateShare(failure, allocate, (warning) => warnings.push(warning)).catch((error: unknown) => error);
  return { tried, warnings: warnings.map(({ code }) => code), failed: outcome === failure };
}

test('the largest share that fits, with a warning', async () => {
  expect(await tryOn('50%', '25%')).toEqual({ tried: ['75%', '50%'], warnings: ['gpu-memory'], failed: false });
});

test('none where none fits', async () => {
  expect(await tryOn()).toEqual({ tried: ['75%', '50%', '25%', '10%'], warnings: [], failed: true });
});

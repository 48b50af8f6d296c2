import type { Warning } from '../api/types.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';

/** Shares of the experts that are tried where the GPU does not hold all: it does not tell how much it holds. */
const SHARES = ['75%', '50%', '25%', '10%'] as const;

/**
 * For a model that the GPU has no room for: its experts get the largest share that fits, with a warning.
 * @param failure thrown where none does
 */
export async function allocateShare(failure: unknown, allocate: (gpuBudget: string) => Promise<LoadedModel>, onWarning: (warning: Warning) => void): Promise<LoadedModel> {
  for (const gpuBudget of SHARES) {
    const model = await allocate(gpuBudget).catch(() => undefined);
    if (!model) continue;
    onWarning({ code: 'gpu-memory', message: `The GPU has no room for all of this model: ${gpuBudget} of its experts are there at a time, and others come when they are asked for. Give gpuBudget to choose how many.` });
    return model;
  }
  throw failure;
}

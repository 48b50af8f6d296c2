import type { LoadOptions, Warning } from '../api/types.ts';
import type { GpuDevice } from '../engine/device.ts';
import { OutOfGpuMemoryError } from '../engine/errors.ts';
import { LoadedModel } from '../engine/loaded-model.ts';
import type { GgufModel } from '../model/gguf/types.ts';
import type { ModelSpec } from '../model/spec.ts';

/** Shares of the experts that are tried where the GPU does not hold all: it does not tell how much it holds. */
const SHARES = ['75%', '50%', '25%', '10%'] as const;

/**
 * Makes room for a model's weights. Where no budget is given and the GPU has no room for all experts, they get the
 * largest share that fits, with a warning. Throws as `LoadedModel.allocate`.
 */
export async function allocate(gpu: GpuDevice, spec: ModelSpec, gguf: GgufModel, options: LoadOptions & { readonly onWarning: (warning: Warning) => void }): Promise<LoadedModel> {
  try {
    return await LoadedModel.allocate(gpu, spec, gguf, options);
  } catch (error) {
    if (!isOutOfMemory(error) || options.gpuBudget !== undefined || !spec.layers.some(({ ffn }) => ffn.kind === 'moe')) throw error;
    for (const gpuBudget of SHARES) {
      const model = await LoadedModel.allocate(gpu, spec, gguf, { ...options, gpuBudget }).catch((again: unknown) => {
        if (!isOutOfMemory(again)) throw again;
      });
      if (!model) continue;
      options.onWarning({ code: 'gpu-memory', message: `The GPU has no room for all of this model: ${gpuBudget} of its experts are there at a time, and others come when they are asked for. Give gpuBudget to choose how many.` });
      return model;
    }
    throw error;
  }
}

function isOutOfMemory(error: unknown): error is OutOfGpuMemoryError {
  return error instanceof OutOfGpuMemoryError;
}

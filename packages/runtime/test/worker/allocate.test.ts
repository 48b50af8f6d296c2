import { afterEach, expect, test, vi } from 'vitest';
import type { LoadOptions, Warning } from '../../src/api/types.ts';
import { OutOfGpuMemoryError } from '../../src/engine/errors.ts';
import type { GpuDevice } from '../../src/engine/device.ts';
import { LoadedModel } from '../../src/engine/loaded-model.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { allocate } from '../../src/worker/allocate.ts';

afterEach(() => vi.restoreAllMocks());

const moe = { layers: [{ ffn: { kind: 'moe' } }] } as unknown as ModelSpec;
const dense = { layers: [{ ffn: { kind: 'dense' } }] } as unknown as ModelSpec;

/** Allocates on a GPU that has room for some budgets only; what was tried, and what was warned of. */
async function tryOn(fits: readonly (string | undefined)[], spec = moe, options: LoadOptions = {}) {
  const tried: (number | string | undefined)[] = [];
  const warnings: Warning[] = [];
  vi.spyOn(LoadedModel, 'allocate').mockImplementation(async (_device, _spec, _gguf, { gpuBudget }) => {
    tried.push(gpuBudget);
    if (!fits.some((fit) => fit === gpuBudget)) throw new OutOfGpuMemoryError(1, 'no room');
    return {} as unknown as LoadedModel;
  });
  const outcome = await allocate({} as unknown as GpuDevice, spec, {} as never, { ...options, onWarning: (warning) => warnings.push(warning) }).catch((error: unknown) => error);
  return { tried, warnings: warnings.map(({ code }) => code), failed: outcome instanceof OutOfGpuMemoryError };
}

test('all experts where they fit', async () => {
  expect(await tryOn([undefined])).toEqual({ tried: [undefined], warnings: [], failed: false });
});

test('else the largest share that fits, with a warning', async () => {
  expect(await tryOn(['50%', '25%'])).toEqual({ tried: [undefined, '75%', '50%'], warnings: ['gpu-memory'], failed: false });
});

test('no share where none fits, where one was given, and where there are no experts', async () => {
  expect(await tryOn([])).toMatchObject({ failed: true, warnings: [] });
  expect(await tryOn(['25%'], moe, { gpuBudget: '50%' })).toEqual({ tried: ['50%'], warnings: [], failed: true });
  expect(await tryOn(['25%'], dense)).toEqual({ tried: [undefined], warnings: [], failed: true });
});

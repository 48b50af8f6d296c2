import type { LoadOptions } from '../api/types.ts';
import { BUDGET_FORMS, parseBudget } from '../residency/budget.ts';
import { LoadOptionError } from './errors.ts';

const COUNTS = ['contextLength', 'prefillChunk', 'maxBindingBytes'] as const;

/** Throws `LoadOptionError`. */
export function checkOptions(options: LoadOptions): void {
  for (const field of COUNTS) {
    const value = options[field];
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) throw new LoadOptionError(field, value, 'a positive whole number');
  }
  const { store, gpuBudget } = options;
  if (gpuBudget !== undefined && !parseBudget(gpuBudget)) throw new LoadOptionError('gpuBudget', gpuBudget, BUDGET_FORMS);
  if (store !== undefined && store !== 'indexeddb' && store !== 'none') throw new LoadOptionError('store', store, '"indexeddb" or "none"');
}

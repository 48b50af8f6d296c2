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
  for (const field of ['gpuBudget', 'hostBudget'] as const) {
    const value = options[field];
    if (value !== undefined && !parseBudget(value)) throw new LoadOptionError(field, value, BUDGET_FORMS);
  }
  const { store } = options;
  if (store !== undefined && store !== 'indexeddb' && store !== 'none') throw new LoadOptionError('store', store, '"indexeddb" or "none"');
}

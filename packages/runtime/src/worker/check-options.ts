import type { LoadOptions } from '../api/types.ts';
import { LoadOptionError } from '../engine/errors.ts';

const COUNTS = ['contextLength', 'prefillChunk', 'maxBindingBytes'] as const;

/** Budgets are checked by what keeps them. Throws `LoadOptionError`. */
export function checkOptions(options: LoadOptions): void {
  for (const field of COUNTS) {
    const value = options[field];
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) throw new LoadOptionError(field, value, 'a positive whole number');
  }
  const { store, precision } = options;
  if (precision !== undefined && precision !== 'f16' && precision !== 'f32') throw new LoadOptionError('precision', precision, '"f16" or "f32"');
  if (store !== undefined && store !== 'indexeddb' && store !== 'opfs' && store !== 'none') throw new LoadOptionError('store', store, '"opfs", "indexeddb" or "none"');
}

import { expect, test } from 'vitest';
import type { LoadOptions } from '../../src/api/types.ts';
import { checkOptions } from '../../src/worker/check-options.ts';

test.each([
  ['contextLength', { contextLength: 0 }],
  ['contextLength', { contextLength: 1.5 }],
  ['prefillChunk', { prefillChunk: -1 }],
  ['maxBindingBytes', { maxBindingBytes: NaN }],
  ['store', { store: 'disk' }],
  ['precision', { precision: 'f8' }],
])('%s is refused by name (%#)', (field, options) => {
  expect(() => checkOptions(options as LoadOptions)).toThrow(expect.objectContaining({ name: 'LoadOptionError', code: 'bad-option', field }));
});

test('options in their ranges, and none at all', () => {
  checkOptions({});
  checkOptions({ contextLength: 1, prefillChunk: 512, maxBindingBytes: 1 << 27, store: 'none', precision: 'f32' });
});

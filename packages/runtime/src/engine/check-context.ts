import type { CacheType } from '@gatefold/shaders';
import type { ModelSpec } from '../model/spec.ts';
import { LimitError } from '../residency/errors.ts';
import { isRecurrent, stateBytes } from './mixers/state.ts';

/**
 * Throws `LimitError` where a layer's keys or values of `contextLength` positions exceed what a kernel can bind: known
 * before anything is fetched.
 * @param maxBindingBytes upper bound for a binding, below the device's own limit @param cacheType of keys and values
 */
export function checkContext(spec: ModelSpec, contextLength: number, limits: GPUSupportedLimits, maxBindingBytes = Infinity, cacheType: CacheType = 'f32'): void {
  const available = Math.min(maxBindingBytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const growth = spec.layers.flatMap(({ attention }) => (isRecurrent(attention) ? [] : Object.values(stateBytes(attention, 1, spec.hiddenSize, cacheType))));
  const bytesAPosition = Math.max(1, ...growth);
  const needed = contextLength * bytesAPosition;
  if (needed <= available) return;
  const most = Math.floor(available / bytesAPosition);
  throw new LimitError('maxStorageBufferBindingSize', needed, available, `A KV cache of ${contextLength} positions (contextLength: at most ${most} here)`);
}

import { expect, test } from 'vitest';
import { adapterAdvice, doctor } from '../src/job/doctor.ts';

type Described = Parameters<typeof adapterAdvice>[0];

function adapter(description: string, features: readonly string[], maxStorageBufferBindingSize: number): Described {
  return {
    info: { vendor: '', architecture: '', description, device: '', isFallbackAdapter: false, subgroupMinSize: 4, subgroupMaxSize: 4 } as GPUAdapterInfo,
    features: new Set(features) as GPUSupportedFeatures,
    limits: { maxStorageBufferBindingSize } as GPUSupportedLimits,
  };
}

test('a good adapter gets no advice', () => {
  expect(adapterAdvice(adapter('NVIDIA', ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix', 'timestamp-query'], 2 ** 31 - 4))).toEqual([]);
});

test('a bare one is told what each lack costs', () => {
  const advice = adapterAdvice(adapter('llvmpipe (LLVM 15)', [], 2 ** 27));
  for (const word of ['CPU', 'shader-f16', 'subgroups', 'subgroup matrices', 'timestamp-query', '128 MiB']) expect(advice.join('\n')).toContain(word);
});

test('without WebGPU, or without an adapter, the report says so', async () => {
  const none = await doctor(undefined);
  expect(none).toMatchObject({ adapter: null, limits: {}, storageQuotaBytes: null, storageUsedBytes: null });
  expect(none.advice[0]).toContain('no WebGPU');
  const noAdapter = await doctor({ requestAdapter: async () => null } as unknown as GPU);
  expect(noAdapter.advice[0]).toContain('no adapter');
});

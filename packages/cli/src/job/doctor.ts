import { requestGpu } from '@gatefold/runtime';
import type { DoctorReport } from './types.ts';

const SHOWN_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Adapter, features, limits and storage of this host, and what will be slow and why. */
export async function doctor(gpu: GPU | undefined): Promise<DoctorReport> {
  const storage = await globalThis.navigator?.storage?.estimate?.();
  const { device, summary } = await requestGpu(gpu);
  const limits = Object.fromEntries(SHOWN_LIMITS.map((limit) => [limit, device.limits[limit]]));
  const advice: string[] = [];
  const has = (feature: string) => summary.features.includes(feature);
  if (/swiftshader|llvmpipe|lavapipe|basic render/i.test(`${summary.architecture} ${summary.description}`)) {
    advice.push('The adapter is a CPU renderer: everything is slow (about 10 GFLOP/s). Use a machine with a GPU for more than tiny models.');
  }
  if (!has('shader-f16')) advice.push('No shader-f16: kernels compute in f32, about half the matrix rate of f16.');
  if (!has('subgroups')) advice.push('No subgroups: reductions go through workgroup memory, which costs some decode speed.');
  if (!has('chromium-experimental-subgroup-matrix')) advice.push('No subgroup matrices (tensor cores): prefill runs on plain multiply-adds.');
  if (!has('timestamp-query')) advice.push('No timestamp queries: bench cannot show a profile by stage.');
  if (device.limits.maxStorageBufferBindingSize < 1 << 30) {
    advice.push(`Bindings are limited to ${device.limits.maxStorageBufferBindingSize >> 20} MiB: large tensors are cut into pieces, at a few more dispatches.`);
  }
  if (!storage) advice.push('No storage estimate: shards may not be cached between runs.');
  device.destroy();
  return { adapter: summary, limits, storageQuotaBytes: storage?.quota, storageUsedBytes: storage?.usage, advice };
}

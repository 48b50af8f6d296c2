import type { AdapterSummary } from '../api/types.ts';
import { NoAdapterError, NoWebGpuError } from './errors.ts';

export interface GpuDevice {
  readonly device: GPUDevice;
  /** The adapter's, which tells more than the device's in some hosts. */
  readonly adapterInfo: GPUAdapterInfo;
  readonly summary: AdapterSummary;
}

/** Features that some kernels have a faster variant for, or that profiling uses. */
const WANTED_FEATURES: readonly string[] = ['shader-f16', 'subgroups', 'timestamp-query', 'chromium-experimental-subgroup-matrix'];

/** Limits that are worth having as large as the adapter gives. */
const WANTED_LIMITS = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize'] as const;

/**
 * A device with the adapter's own limits and the features that kernels know how to use.
 * @param gpu default: `navigator.gpu`. Throws `NoWebGpuError` or `NoAdapterError`.
 */
export async function requestGpu(gpu: GPU | undefined = globalThis.navigator?.gpu): Promise<GpuDevice> {
  if (!gpu) throw new NoWebGpuError();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new NoAdapterError();
  const device = await adapter.requestDevice({
    requiredFeatures: WANTED_FEATURES.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
  return { device, adapterInfo: adapter.info, summary: summarise(device, adapter.info) };
}

/** What `info()` and `stats` say of the adapter. */
export function summarise(device: GPUDevice, info: GPUAdapterInfo | undefined): AdapterSummary {
  return {
    vendor: info?.vendor ?? '',
    architecture: info?.architecture ?? '',
    description: info?.description ?? '',
    features: [...device.features].sort(),
    maxBufferSize: device.limits.maxBufferSize,
    maxStorageBufferBindingSize: device.limits.maxStorageBufferBindingSize,
  };
}

import { NoAdapterError, NoWebGpuError } from '@gatefold/runtime';
import type { DoctorReport } from './types.ts';

/** Limits that decide whether a model fits and how it is cut. */
const SHOWN_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** From this on the weights of one layer's experts fit in one binding for all common models. */
const ROOMY_BINDING_BYTES = 2 ** 30;

/** A small useful MoE model in 4 bits. */
const ROOMY_STORAGE_BYTES = 4e9;

/** Adapter, features, limits and storage of this host, and what will be slow and why. */
export async function doctor(gpu: GPU | undefined): Promise<DoctorReport> {
  const storage: StorageEstimate | undefined = await globalThis.navigator?.storage?.estimate?.();
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  const advice = adapter ? adapterAdvice(adapter) : [(gpu ? new NoAdapterError() : new NoWebGpuError()).message];
  return {
    adapter: adapter ? summary(adapter) : null,
    limits: adapter ? Object.fromEntries(SHOWN_LIMITS.map((limit) => [limit, adapter.limits[limit]])) : {},
    storageQuotaBytes: storage?.quota ?? null,
    storageUsedBytes: storage?.usage ?? null,
    advice: [...advice, ...storageAdvice(storage)],
  };
}

function summary({ info, features, limits }: GPUAdapter): DoctorReport['adapter'] {
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description,
    features: [...features].sort(),
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
  };
}

/** Figures are of one NVIDIA H200, and of SwiftShader. */
export function adapterAdvice({ info, features, limits }: Pick<GPUAdapter, 'info' | 'features' | 'limits'>): string[] {
  const advice: string[] = [];
  if (info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${info.vendor} ${info.architecture} ${info.description}`)) {
    advice.push('The adapter is a CPU that plays a GPU: everything is slow (about 10 GFLOP/s and 2 GB/s). For more than tiny models use a machine with a GPU and its driver.');
  }
  if (!features.has('shader-f16')) advice.push('No shader-f16: kernels compute in f32, at about half the rate of f16.');
  if (!features.has('subgroups')) advice.push('No subgroups: sums go through workgroup memory, which slows decoding.');
  if (!features.has('chromium-experimental-subgroup-matrix')) advice.push('No subgroup matrices (tensor cores): long prompts run on plain multiply-adds, several times slower.');
  if (!features.has('timestamp-query')) advice.push('No timestamp-query: no profile by stage can be taken.');
  if (limits.maxStorageBufferBindingSize < ROOMY_BINDING_BYTES) {
    advice.push(`A binding holds ${Math.floor(limits.maxStorageBufferBindingSize / 2 ** 20)} MiB: large layers are cut into pages, at a few more dispatches a token.`);
  }
  return advice;
}

function storageAdvice(storage: StorageEstimate | undefined): string[] {
  if (storage?.quota === undefined) return ['No storage here: models are not kept, and are fetched again each time.'];
  const free = storage.quota - (storage.usage ?? 0);
  return free < ROOMY_STORAGE_BYTES ? [`Storage has room for ${(free / 1e9).toFixed(1)} GB: larger models run, but are fetched again each time.`] : [];
}

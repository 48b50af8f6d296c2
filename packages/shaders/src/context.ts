import { link } from 'wesl';
import { KernelArgumentError, ShaderCompilationError } from './errors.ts';
import type { BatchSize, Step, Workgroups } from './step.ts';

/** Kernel sources that are there from the start, keyed by path relative to `wgsl/`, e.g. `quant/q4_0.wesl`. */
const sources: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(
    import.meta.glob<string>(['./wgsl/*.wesl', './wgsl/quant/*.wesl', '!./wgsl/attention_{decode,split,combine}.wesl', '!./wgsl/quant/{q2_k,q3_k,q4_1,q5_0,q5_1,q5_k,iq4}.wesl'], {
      query: '?raw',
      import: 'default',
      eager: true,
    }),
  ).map(([path, text]) => [path.replace('./wgsl/', ''), text]),
);

/** Conditions of tensor types whose decoders are loaded when a model has them. */
const RARE_TYPES = ['Q2_K', 'Q3_K', 'Q4_1', 'Q5_0', 'Q5_1', 'Q5_K', 'IQ4_NL', 'IQ4_XS', 'MXFP4', 'NVFP4'].map((type) => `WEIGHT_${type}`);

/** Threads of a subgroup on adapters that run on a CPU, at most. */
const CPU_SUBGROUP = 4;
/** A multiple of `PART` of workgroup_sum.wesl. */
const FEWEST_THREADS = 16;

/** WESL `@if` conditions that pick a variant of a module. Conditions not named are false. */
export type Conditions = Readonly<Record<string, boolean>>;

export interface KernelRequest {
  /** Stage name for profiles and errors. */
  readonly label: string;
  /** Module path below `wgsl/` without its ending, e.g. `rmsnorm`. Its entry point is `main`. */
  readonly module: string;
  /** Modules that come with the code that uses them, keyed by path: what not everybody needs at once is loaded late. */
  readonly sources?: Readonly<Record<string, string>>;
  readonly conditions?: Conditions;
  /** Values of the module's `override` constants (shapes, epsilons). */
  readonly constants?: Readonly<Record<string, number>>;
  /** `@group(0)` bindings by binding index; an absent index must not exist in the linked variant. */
  readonly bindings: Readonly<Record<number, GPUBindingResource>>;
  readonly workgroups: Workgroups | ((size: BatchSize) => Workgroups);
  readonly indirect?: { readonly buffer: GPUBuffer; readonly offset: number };
}

/** What a part of a kernel that several share adds to a request. */
export type KernelParts = Required<Pick<KernelRequest, 'conditions' | 'constants' | 'bindings'>>;

/**
 * Compiles kernels for one device and remembers modules and pipelines, so that layers of one shape share them.
 * Owns no buffers.
 */
export class ShaderContext {
  readonly #modules = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Threads that a subgroup has at least; 1 where the adapter does not say. */
  readonly subgroupSize: number;

  /**
   * @param device the device that everything made here belongs to
   * @param features variant switches true for this device (`featureConditions`). Passed as conditions to every module.
   *   Turn one off to force the bare variant.
   */
  constructor(
    readonly device: GPUDevice,
    readonly features: Conditions = featureConditions(device),
  ) {
    this.subgroupSize = Math.max(1, device.adapterInfo?.subgroupMinSize ?? 1);
  }

  /** A CPU adapter: subgroups this small are a CPU's vector units, and threads beyond a few are run in turn. */
  get narrow(): boolean {
    return this.subgroupSize > 1 && this.subgroupSize <= CPU_SUBGROUP;
  }

  /** Threads of a workgroup that adds up by `workgroup_sum.wesl`: `most`, or on a CPU adapter the fewest that there may be. */
  threads(most: number): number {
    return this.narrow ? FEWEST_THREADS : most;
  }

  /** Makes a dispatch-ready step. Throws `ShaderCompilationError` where the adapter's compiler refuses the module. */
  async step(request: KernelRequest): Promise<Step> {
    const { label, workgroups, indirect } = request;
    if (typeof workgroups !== 'function') checkWorkgroups(this.device, label, workgroups);
    const pipeline = await this.#pipeline(request);
    return { label, pipeline, bindGroup: bindGroupOf(this.device, label, pipeline, request.bindings), workgroups, ...(indirect ? { indirect } : {}) };
  }

  #pipeline({ module, sources: own = {}, conditions = {}, constants = {} }: KernelRequest): Promise<GPUComputePipeline> {
    const moduleKey = `${module}?${sortedKey(conditions)}`;
    const key = `${moduleKey}#${sortedKey(constants)}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#module(module, own, conditions, moduleKey).then((shader) =>
        this.device.createComputePipelineAsync({
          label: key,
          layout: 'auto',
          compute: { module: shader, entryPoint: 'main', constants },
        }),
      );
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #module(module: string, own: Readonly<Record<string, string>>, conditions: Conditions, key: string): Promise<GPUShaderModule> {
    let shader = this.#modules.get(key);
    if (!shader) {
      shader = this.#compile(module, own, conditions);
      this.#modules.set(key, shader);
    }
    return shader;
  }

  async #compile(module: string, own: Readonly<Record<string, string>>, conditions: Conditions): Promise<GPUShaderModule> {
    const code = await linkKernel(module, { ...this.features, ...conditions }, own);
    const shader = this.device.createShaderModule({ label: module, code });
    const info = await shader.getCompilationInfo();
    const errors = info.messages.filter((message) => message.type === 'error');
    if (errors.length > 0) {
      throw new ShaderCompilationError(
        module,
        errors.map((message) => `${message.lineNum}:${message.linePos} ${message.message}`),
      );
    }
    return shader;
  }
}

/** Buffers for a pipeline's kernel, by binding index. */
export function bindGroupOf(device: GPUDevice, label: string, pipeline: GPUComputePipeline, bindings: KernelRequest['bindings']): GPUBindGroup {
  const entries = Object.entries(bindings).map(([binding, resource]) => ({ binding: Number(binding), resource }));
  return device.createBindGroup({ label, layout: pipeline.getBindGroupLayout(0), entries });
}

/** A declaration of matrix/builtins.wesl. */
const SUBGROUP_MATRIX_STUB = /^(alias|fn) (subgroup_matrix_\w+|subgroupMatrix\w+|(row|col)_major)\b( = u32;|\(\) \{\s*\})$/gm;

/** Resolves a module's imports and conditions into plain WGSL. @param own modules beside those that are always there */
export async function linkKernel(module: string, conditions: Conditions = {}, own: Readonly<Record<string, string>> = {}): Promise<string> {
  const rare = RARE_TYPES.some((type) => conditions[type]) ? (await import('./rare/decoders.ts')).decoders : {};
  const matrix = conditions['MATRIX'] ? (await import('./rare/matrix.ts')).matrix : {};
  const routers = conditions['GROUPS'] || conditions['SCORE_SQRT_SOFTPLUS'] ? (await import('./rare/routers.ts')).routers : {};
  const weslSrc = { ...sources, ...rare, ...matrix, ...routers, ...own };
  if (weslSrc[`${module}.wesl`] === undefined) throw new KernelArgumentError(module, 'no such kernel module');
  // Every condition must be known to the linker: those a module asks about and nobody named are false.
  const known: Record<string, boolean> = {};
  for (const text of Object.values(weslSrc)) {
    for (const match of text.matchAll(/@(?:el)?if\s*\(([^)]*)\)/g)) {
      for (const name of (match[1] ?? '').match(/[A-Z][A-Z0-9_]*/g) ?? []) known[name] = false;
    }
  }
  const linked = await link({ weslSrc, rootModuleName: module, conditions: { ...known, ...conditions } });
  return linked.dest.replaceAll(SUBGROUP_MATRIX_STUB, '');
}

/**
 * What this device has, as conditions. `SUBGROUP_MATRIX`: matrices of 16 x 16 f16 with f32 sums, and subgroups of always 32
 * threads.
 * @param adapterInfo the adapter's: some hosts leave matrices out of the device's
 */
export function featureConditions(device: GPUDevice, adapterInfo: GPUAdapterInfo = device.adapterInfo): Conditions {
  return {
    F16: device.features.has('shader-f16'),
    SUBGROUPS: device.features.has('subgroups'),
    SUBGROUP_MATRIX: hasMatrices(device, adapterInfo),
  };
}

function hasMatrices({ features }: GPUDevice, info: GPUAdapterInfo & SubgroupMatrixInfo): boolean {
  // Experimental, so not in the types.
  const names: ReadonlySet<string> = features;
  if (!names.has('chromium-experimental-subgroup-matrix') || !names.has('shader-f16')) return false;
  if (info.subgroupMinSize !== 32 || info.subgroupMaxSize !== 32) return false;
  return (info.subgroupMatrixConfigs ?? []).some(
    ({ componentType, resultComponentType, M, N, K }) => componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
}

/** What `chromium-experimental-subgroup-matrix` adds to the adapter's info. */
interface SubgroupMatrixInfo {
  readonly subgroupMatrixConfigs?: readonly {
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }[];
}

/** More than `maxComputeWorkgroupsPerDimension` in a dimension is dropped silently by some drivers: refuse it here. */
function checkWorkgroups(device: GPUDevice, label: string, counts: Workgroups): void {
  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  if (counts.some((count) => count > limit || count < 0 || !Number.isInteger(count))) {
    throw new KernelArgumentError(label, `${counts.join(' x ')} workgroups exceed the limit of ${limit} in a dimension`);
  }
}

function sortedKey(record: Readonly<Record<string, boolean | number>>): string {
  return Object.keys(record)
    .sort()
    .filter((key) => record[key] !== false)
    .map((key) => `${key}=${record[key]}`)
    .join(',');
}

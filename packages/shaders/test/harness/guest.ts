// The part of the harness that runs inside a host, next to the GPU. Bundled with all cases by `bundle.ts`.
import { featureConditions, ShaderContext } from '../../src/index.ts';
import { cases } from '../cases/index.ts';
import { KernelTest } from './kernel-case.ts';

/**
 * `native` uses every feature and limit that the adapter offers and kernels know a variant for. `bare` asks the adapter
 * for nothing: default limits, no features, and only the variants that need none.
 */
export type Variant = 'native' | 'bare';

export interface CaseRequest {
  readonly name: string;
  readonly variant: Variant;
  readonly seed: number;
}

/** Runs kernel cases by name on the devices of one `GPU`. */
export class Guest {
  readonly #contexts = new Map<Variant, Promise<ShaderContext>>();
  readonly #stray: string[] = [];

  constructor(readonly gpu: GPU | undefined) {}

  /** Runs one case; gives what went wrong, a GPU error that nobody caught included, or undefined. Never throws. */
  async run({ name, variant, seed }: CaseRequest): Promise<string | undefined> {
    try {
      const found = cases.find((candidate) => candidate.name === name);
      if (!found) return `no kernel case is named "${name}"`;
      const t = new KernelTest(await this.#context(variant), seed);
      try {
        await found.run(t);
      } finally {
        t.dispose();
      }
      const stray = this.#stray.splice(0);
      return stray.length > 0 ? `GPU errors outside any scope: ${stray.join('; ')}` : undefined;
    } catch (error) {
      this.#stray.length = 0;
      return error instanceof Error ? (error.stack?.includes(error.message) ? error.stack : `${error.message}\n${error.stack}`) : String(error);
    }
  }

  /** What the adapter calls itself, and what `native` uses of it. */
  async describe(): Promise<string> {
    const { adapterInfo, features, limits } = (await this.#context('native')).device;
    const name = [adapterInfo.vendor, adapterInfo.architecture, adapterInfo.description].filter(Boolean).join(' ');
    return `${name}; ${[...features].sort().join(' ')}; bindings of ${limits.maxStorageBufferBindingSize >> 20} MiB`;
  }

  async close(): Promise<void> {
    for (const context of this.#contexts.values()) (await context).device.destroy();
  }

  #context(variant: Variant): Promise<ShaderContext> {
    let context = this.#contexts.get(variant);
    if (!context) {
      context = this.#makeContext(variant);
      this.#contexts.set(variant, context);
    }
    return context;
  }

  async #makeContext(variant: Variant): Promise<ShaderContext> {
    const adapter = await this.gpu?.requestAdapter();
    if (!adapter) throw new Error(this.gpu ? 'this host finds no WebGPU adapter' : 'this host has no WebGPU');
    const device = await adapter.requestDevice(variant === 'bare' ? {} : everythingUseful(adapter));
    device.addEventListener('uncapturederror', (event) => this.#stray.push(event.error.message));
    return new ShaderContext(device, variant === 'bare' ? {} : featureConditions(device, adapter.info));
  }
}

/** What kernels have a variant for. */
const WANTED_FEATURES: ReadonlySet<string> = new Set(['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix']);

function everythingUseful({ features, limits }: GPUAdapter): GPUDeviceDescriptor {
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize } = limits;
  return {
    requiredFeatures: [...features].filter((feature) => WANTED_FEATURES.has(feature)) as GPUFeatureName[],
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize },
  };
}

// The part of the harness that runs inside a host, next to the GPU. Bundled with all cases by `bundle.ts`.
import { featureConditions, type Conditions } from '../../src/index.ts';
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

interface Device {
  readonly device: GPUDevice;
  readonly conditions: Conditions;
}

/** Runs kernel cases by name on the devices of one `GPU`. */
export class Guest {
  readonly #devices = new Map<Variant, Promise<Device>>();
  readonly #stray: string[] = [];

  constructor(readonly gpu: GPU | undefined) {}

  /** Runs one case; gives what went wrong, a GPU error that nobody caught included, or undefined. Never throws. */
  async run({ name, variant, seed }: CaseRequest): Promise<string | undefined> {
    try {
      const found = cases.find((candidate) => candidate.name === name);
      if (!found) return `no kernel case is named "${name}"`;
      const { device, conditions } = await this.#device(variant);
      const t = new KernelTest(device, seed, conditions);
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
    const { adapterInfo, features, limits } = (await this.#device('native')).device;
    const name = [adapterInfo.vendor, adapterInfo.architecture, adapterInfo.description].filter(Boolean).join(' ');
    return `${name}; ${[...features].sort().join(' ')}; bindings of ${limits.maxStorageBufferBindingSize >> 20} MiB`;
  }

  async close(): Promise<void> {
    for (const device of this.#devices.values()) (await device).device.destroy();
  }

  #device(variant: Variant): Promise<Device> {
    let device = this.#devices.get(variant);
    if (!device) {
      device = this.#requestDevice(variant);
      this.#devices.set(variant, device);
    }
    return device;
  }

  async #requestDevice(variant: Variant): Promise<Device> {
    const adapter = await this.gpu?.requestAdapter();
    if (!adapter) throw new Error(this.gpu ? 'this host finds no WebGPU adapter' : 'this host has no WebGPU');
    const device = await adapter.requestDevice(variant === 'bare' ? {} : everythingUseful(adapter));
    device.addEventListener('uncapturederror', (event) => this.#stray.push(event.error.message));
    return { device, conditions: variant === 'bare' ? {} : featureConditions(device, adapter.info) };
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

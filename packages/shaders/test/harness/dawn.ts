import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';
import { SLOW_ON_SWIFTSHADER, swiftShaderIcd } from '../../../../scripts/browser.mjs';
import { Guest } from './guest.ts';
import type { KernelHost } from './host.ts';

/** f16 on NVIDIA, subgroup matrices. */
const EXPERIMENTAL = 'enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis';

// Dawn's instance must outlive every device, or the process crashes.
let instance: GPU | undefined;

/** Node's Dawn as a `GPU`: on SwiftShader, or on the real GPU if `GATEFOLD_GPU=real`. */
export function dawnGpu(): GPU {
  if (!instance) {
    const icd = process.env['GATEFOLD_GPU'] === 'real' ? undefined : swiftShaderIcd();
    if (icd) process.env['VK_ICD_FILENAMES'] ??= icd;
    // Mesa's Vulkan layers warn on every start where it is unset.
    process.env['XDG_RUNTIME_DIR'] ??= tmpdir();
    Object.assign(globalThis, globals);
    instance = create([icd ? `disable-dawn-features=${SLOW_ON_SWIFTSHADER}` : EXPERIMENTAL]);
  }
  return instance;
}

/** This very process. */
export async function openDawn(): Promise<KernelHost> {
  const guest = new Guest(dawnGpu());
  return { run: (request) => guest.run(request), close: () => guest.close() };
}

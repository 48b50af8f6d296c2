import { existsSync } from 'node:fs';
import { create, globals } from 'webgpu';

/** Where SwiftShader's Vulkan driver description lies beside a Chromium. */
const SWIFTSHADER_ICDS = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
];

// Dawn's instance must outlive every device, or the process crashes.
let instance: GPU | undefined;

/** A device of Node's Dawn: on the real GPU if `GATEFOLD_GPU=real`, else on SwiftShader. */
export async function dawnDevice(): Promise<GPUDevice> {
  if (!instance) {
    if (process.env['GATEFOLD_GPU'] !== 'real' && !process.env['VK_ICD_FILENAMES']) {
      const icd = SWIFTSHADER_ICDS.find((path) => existsSync(path));
      if (icd) process.env['VK_ICD_FILENAMES'] = icd;
    }
    Object.assign(globalThis, globals);
    instance = create([]);
  }
  const adapter = await instance.requestAdapter();
  if (!adapter) throw new Error('Dawn finds no adapter: install Chromium (its SwiftShader is used) or a Vulkan driver');
  const wanted: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];
  return adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxBufferSize: adapter.limits.maxBufferSize,
    },
  });
}

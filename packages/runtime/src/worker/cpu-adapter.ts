import type { AdapterSummary } from '../api/types.ts';

/** Whether a CPU plays the GPU (SwiftShader, llvmpipe, WARP): right results, at a thousandth of the speed. */
export function isCpuAdapter({ vendor, architecture, description }: AdapterSummary): boolean {
  return /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${vendor} ${architecture} ${description}`);
}

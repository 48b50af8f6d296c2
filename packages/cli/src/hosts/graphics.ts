import { existsSync } from 'node:fs';

/** Of NVIDIA's driver, of any other, and of Windows' subsystem for Linux. */
const DEVICES = ['/dev/nvidiactl', '/dev/dri', '/dev/dxg'];

/** Whether there may be a GPU, or `GATEFOLD_GPU` and Vulkan's variables choose one. Elsewhere than on Linux no file tells. */
export function mayHaveGpu(): boolean {
  const { env, platform } = process;
  if (env['GATEFOLD_GPU'] !== undefined) return env['GATEFOLD_GPU'] === 'real';
  if (platform !== 'linux' || env['VK_ICD_FILENAMES'] !== undefined || env['VK_DRIVER_FILES'] !== undefined) return true;
  return DEVICES.some((path) => existsSync(path));
}

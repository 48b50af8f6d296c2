import { DeviceLostError } from './errors.ts';

/** Pokes without a break: a short piece of work is done by then. */
const QUICK_POKES = 4;
/** Milliseconds between the later ones: on a CPU adapter they take time from the work itself. */
const POKE_MS = 1;

/**
 * Waits for what the GPU does, and learns of it as soon as it is done. Chromium looks every two milliseconds, and whenever
 * a command comes: so it gets some. An error scope's answer does not wait for the GPU, so that pokes do not pile up.
 */
export async function hasten<T>(device: GPUDevice, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = () => void (isDone = true);
  work.then(done, done);
  for (let pokes = 0; !isDone; pokes++) {
    if (pokes >= QUICK_POKES) await Promise.race([work, pause()]);
    if (!isDone) await Promise.race([work, poke(device)]);
  }
  return work;
}

/** Copies the start of a staging buffer as soon as the GPU has written it. Throws `DeviceLostError`. */
export async function readNow(device: GPUDevice, staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  try {
    await hasten(device, staging.mapAsync(GPUMapMode.READ, 0, bytes));
  } catch (cause) {
    throw new DeviceLostError(cause instanceof Error ? cause.message : String(cause));
  }
  const copy = staging.getMappedRange(0, bytes).slice(0);
  staging.unmap();
  return copy;
}

/** Others' error scopes stay as they are: this one is gone before they know. */
function poke(device: GPUDevice): Promise<unknown> {
  device.pushErrorScope('validation');
  return device.popErrorScope().catch(() => undefined);
}

function pause(): Promise<void> {
  return new Promise((over) => setTimeout(over, POKE_MS));
}

import { DeviceLostError } from './errors.ts';

/**
 * Staging buffers through which small results come back late: the host encodes further tokens while earlier ones
 * are still under way. Completion is polled by browsers (about 3 ms), so the ring must be deep on a fast GPU.
 */
export class ReadbackRing {
  readonly #free: GPUBuffer[];
  readonly #all: readonly GPUBuffer[];
  #readbacks = 0;

  constructor(readonly device: GPUDevice, readonly depth: number, readonly bytes: number) {
    this.#all = Array.from({ length: depth }, () =>
      device.createBuffer({ label: 'readback', size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }),
    );
    this.#free = [...this.#all];
  }

  /** How many read-backs were made so far. */
  get readbacks(): number {
    return this.#readbacks;
  }

  get totalBytes(): number {
    return this.depth * this.bytes;
  }

  /**
   * Copies the sources (one after the other) at the end of `encoder`'s work. Call `arrive` after the submit.
   * Throws RangeError when more than `depth` results are outstanding.
   */
  record(encoder: GPUCommandEncoder, sources: readonly { readonly buffer: GPUBuffer; readonly offset?: number; readonly bytes: number }[]): { arrive(): Promise<ArrayBuffer> } {
    const staging = this.#free.pop();
    if (!staging) throw new RangeError(`more than ${this.depth} results are outstanding`);
    let at = 0;
    for (const { buffer, offset = 0, bytes } of sources) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, bytes);
      at += bytes;
    }
    this.#readbacks++;
    return { arrive: () => this.#map(staging, at) };
  }

  async #map(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    try {
      await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    } catch (cause) {
      throw new DeviceLostError(cause instanceof Error ? cause.message : String(cause));
    }
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    this.#free.push(staging);
    return copy;
  }

  destroy(): void {
    for (const buffer of this.#all) buffer.destroy();
  }
}

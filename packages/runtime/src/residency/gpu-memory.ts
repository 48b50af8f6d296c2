/** Counts every GPU buffer that a model and its sessions hold, so that use can be shown and leaks are seen. */
export class GpuMemory {
  readonly #live = new Map<GPUBuffer, number>();

  constructor(readonly device: GPUDevice) {}

  /** A buffer of at least `bytes` (rounded up to 16). */
  create(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#live.set(buffer, size);
    return buffer;
  }

  /** A storage buffer that shaders read and write and that can be copied both ways. */
  storage(label: string, bytes: number): GPUBuffer {
    return this.create(label, bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
  }

  destroy(buffer: GPUBuffer): void {
    if (this.#live.delete(buffer)) buffer.destroy();
  }

  destroyAll(): void {
    for (const buffer of this.#live.keys()) buffer.destroy();
    this.#live.clear();
  }

  get buffers(): number {
    return this.#live.size;
  }

  get bytes(): number {
    let sum = 0;
    for (const size of this.#live.values()) sum += size;
    return sum;
  }
}

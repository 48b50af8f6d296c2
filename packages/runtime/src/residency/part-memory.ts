import { GpuMemory } from './gpu-memory.ts';

/** Buffers of a model's memory that go together, before the rest. */
export class PartMemory extends GpuMemory {
  readonly #own = new Set<GPUBuffer>();

  constructor(readonly whole: GpuMemory) {
    super(whole.device);
  }

  override create(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.whole.create(label, bytes, usage);
    this.#own.add(buffer);
    return buffer;
  }

  override destroy(buffer: GPUBuffer): void {
    this.#own.delete(buffer);
    this.whole.destroy(buffer);
  }

  override destroyAll(): void {
    for (const buffer of this.#own) this.destroy(buffer);
  }

  override get buffers(): number {
    return this.#own.size;
  }

  override get bytes(): number {
    let sum = 0;
    for (const { size } of this.#own) sum += size;
    return sum;
  }
}

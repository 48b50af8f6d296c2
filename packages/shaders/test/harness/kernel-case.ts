import { encodeSteps, type BatchSize, type ShaderContext, type Step } from '../../src/index.ts';

/** A test of kernels on a GPU, runnable in any host (Chromium, Node's Dawn, Deno's wgpu, Firefox). */
export interface KernelCase {
  readonly name: string;
  readonly run: (t: KernelTest) => Promise<void>;
}

const registered: KernelCase[] = [];

/** Registers a case. Case files call this at load; `cases/index.ts` collects them. */
export function kernelCase(name: string, run: (t: KernelTest) => Promise<void>): void {
  if (registered.some((existing) => existing.name === name)) throw new Error(`two kernel cases are named "${name}"`);
  registered.push({ name, run });
}

export function kernelCases(): readonly KernelCase[] {
  return registered;
}

/** Word that output buffers are filled with before a run: a NaN with a telling pattern, so unwritten output shows. */
const POISON = 0x7fc0dead;

/** What a case works with: buffers that are freed for it, poisoned outputs, fresh seeded random numbers. */
export class KernelTest {
  readonly device: GPUDevice;
  readonly #buffers: GPUBuffer[] = [];
  readonly #random: () => number;

  /** @param context shared by cases, which so compile a pipeline once */
  constructor(readonly context: ShaderContext, readonly seed: number) {
    this.device = context.device;
    this.#random = mulberry32(seed);
  }

  /** Uniform in [0, 1). */
  random(): number {
    return this.#random();
  }

  /** Integer in [0, limit). */
  randomInt(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Roughly normal, mean 0, the given deviation. */
  randomNormal(length: number, deviation = 1): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length }, () => {
      const u = 1 - this.#random();
      return deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.#random());
    });
  }

  /** A buffer holding `data`, usable as storage, uniform, indirect and copy source. Padded to 16 bytes. */
  input(data: ArrayBufferView<ArrayBuffer>): GPUBufferBinding {
    const buffer = this.#buffer(data.byteLength);
    const padded = new Uint8Array(buffer.size);
    padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.device.queue.writeBuffer(buffer, 0, padded);
    return { buffer };
  }

  /** A buffer of `bytes` filled with poison. */
  output(bytes: number): GPUBufferBinding {
    const buffer = this.#buffer(bytes);
    this.device.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(POISON));
    return { buffer };
  }

  /** Runs the steps in one pass and one submit. A validation error fails the case. */
  async run(steps: readonly Step[], size: BatchSize = { tokens: 1, context: 1 }): Promise<void> {
    this.device.pushErrorScope('validation');
    this.device.pushErrorScope('out-of-memory');
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encodeSteps(pass, steps, size);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    const errors = [await this.device.popErrorScope(), await this.device.popErrorScope()];
    for (const error of errors) if (error) throw new Error(`GPU error: ${error.message}`);
  }

  async readBytes(binding: GPUBufferBinding, bytes?: number): Promise<ArrayBuffer> {
    const offset = binding.offset ?? 0;
    const size = Math.ceil((bytes ?? binding.size ?? binding.buffer.size - offset) / 4) * 4;
    const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(binding.buffer, offset, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const copy = staging.getMappedRange().slice(0);
    staging.destroy();
    return copy;
  }

  async readFloats(binding: GPUBufferBinding, length: number): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array(await this.readBytes(binding, length * 4), 0, length);
  }

  async readInts(binding: GPUBufferBinding, length: number): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array(await this.readBytes(binding, length * 4), 0, length);
  }

  dispose(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  #buffer(bytes: number): GPUBuffer {
    const { STORAGE, UNIFORM, INDIRECT, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const buffer = this.device.createBuffer({
      size: Math.max(16, Math.ceil(bytes / 16) * 16),
      usage: STORAGE | UNIFORM | INDIRECT | COPY_SRC | COPY_DST,
    });
    this.#buffers.push(buffer);
    return buffer;
  }
}

/**
 * Fails unless |actual - expected| <= absolute + relative * max|expected| everywhere; names the worst place.
 * Relative to the largest value, since sums cancel.
 */
export function expectClose(
  label: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative = 1e-5, absolute = 1e-6 }: { relative?: number; absolute?: number } = {},
): void {
  if (actual.length !== expected.length) throw new Error(`${label}: ${actual.length} values, expected ${expected.length}`);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i] ?? NaN));
  const limit = absolute + relative * largest;
  let worst = -1;
  let worstError = limit;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN));
    if (!(error <= worstError)) {
      worst = i;
      worstError = Number.isNaN(error) ? Infinity : error;
      if (worstError === Infinity) break;
    }
  }
  if (worst >= 0) throw new Error(`${label}: at ${worst} got ${actual[worst]}, expected ${expected[worst]}, allowed error ${limit}`);
}

/** What products may be off by: where they run on subgroup matrices, inputs and weights are rounded to f16. */
export function matrixTolerance({ context }: KernelTest): { relative?: number } {
  return context.features['SUBGROUP_MATRIX'] ? { relative: 1e-3 } : {};
}

export function expectEqual(label: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (actual.length !== expected.length) throw new Error(`${label}: ${actual.length} values, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`${label}: at ${i} got ${actual[i]}, expected ${expected[i]}`);
  }
}

function mulberry32(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

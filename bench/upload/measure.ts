import { ShaderContext, planarLayout } from '@gatefold/shaders';
import { requestGpu } from '../../packages/runtime/src/engine/device.ts';
import { Uploader } from '../../packages/runtime/src/residency/uploader.ts';
import type { Emit, Environment } from '../src/job.ts';
import type { UploadJob, UploadReport, UploadRow } from './types.ts';

const MIB = 1 << 20;
/** What is sent: more than caches hold, so that it comes from memory as a shard does. */
const SOURCE_BYTES = 64 * MIB;
/** The engine's uploader gets shards of an expert's size. */
const SHARD_BYTES = 3 * 18 * 65_536;
const Q4_0 = { type: 2, blockBytes: 18, blockWeights: 32 };

/** Sends `bytes` by each way: one untimed pass of a quarter of them first. */
export async function measureUpload({ bytes }: UploadJob, environment: Environment, emit: Emit): Promise<UploadReport> {
  const { device } = await requestGpu(environment.gpu);
  const source = new Uint8Array(SOURCE_BYTES).map((_, i) => (i * 2_654_435_761) >>> 24);
  const rows: UploadRow[] = [];
  const time = async (way: string, chunk: number, depth: number, send: (bytes: number) => Promise<void>) => {
    await send(bytes / 4);
    await device.queue.onSubmittedWorkDone();
    const started = performance.now();
    await send(bytes);
    await device.queue.onSubmittedWorkDone();
    const row = { way, chunk, depth, ms: performance.now() - started };
    rows.push(row);
    emit(`${way} ${chunk / MIB} MiB × ${depth}: ${(bytes / row.ms / 1e6).toFixed(2)} GB/s`);
  };
  for (const chunk of [1, 4, 16]) await time('writeBuffer', chunk * MIB, 1, writeBuffer(device, source, chunk * MIB));
  for (const [chunk, depth] of [[1, 16], [2, 16], [4, 4], [4, 8], [8, 4], [16, 2], [16, 4]] as const) {
    const ring = new Ring(device, chunk * MIB, depth);
    await time('mapped ring', chunk * MIB, depth, (total) => ring.send(source, total));
    ring.destroy();
  }
  for (const chunk of [4, 16]) await time('mappedAtCreation', chunk * MIB, 1, mappedAtCreation(device, source, chunk * MIB));
  for (const [chunk, depth] of [[1, 16], [4, 4], [4, 8], [8, 4], [16, 4]] as const) {
    const uploader = new Uploader(device, new ShaderContext(device), { slotBytes: chunk * MIB, slots: depth });
    await time('uploader', chunk * MIB, depth, upload(device, uploader, source));
    uploader.dispose();
  }
  device.destroy();
  return { bytes, rows };
}

/** The next chunk's place in the source. */
function* places(chunk: number, total: number): Generator<number> {
  for (let sent = 0; sent < total; sent += chunk) yield sent % (SOURCE_BYTES - chunk + 1);
}

function target(device: GPUDevice, size: number): GPUBuffer {
  return device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
}

function writeBuffer(device: GPUDevice, source: Uint8Array<ArrayBuffer>, chunk: number): (total: number) => Promise<void> {
  const to = target(device, chunk);
  return async (total) => {
    let sent = 0;
    for (const at of places(chunk, total)) {
      device.queue.writeBuffer(to, 0, source, at, chunk);
      sent += chunk;
      // Unbounded, the browser's memory would hold all of it.
      if (sent % SOURCE_BYTES === 0) await device.queue.onSubmittedWorkDone();
    }
  };
}

function copyToTarget(device: GPUDevice, from: GPUBuffer, to: GPUBuffer, size: number): void {
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, to, 0, size);
  device.queue.submit([encoder.finish()]);
}

function mappedAtCreation(device: GPUDevice, source: Uint8Array<ArrayBuffer>, chunk: number): (total: number) => Promise<void> {
  const to = target(device, chunk);
  return async (total) => {
    let sent = 0;
    for (const at of places(chunk, total)) {
      const from = device.createBuffer({ size: chunk, usage: GPUBufferUsage.COPY_SRC, mappedAtCreation: true });
      new Uint8Array(from.getMappedRange()).set(source.subarray(at, at + chunk));
      from.unmap();
      copyToTarget(device, from, to, chunk);
      from.destroy();
      sent += chunk;
      if (sent % SOURCE_BYTES === 0) await device.queue.onSubmittedWorkDone();
    }
  };
}

/** Buffers that are mapped again while others travel. */
class Ring {
  readonly #slots: { readonly buffer: GPUBuffer; mapped: Promise<unknown> }[];
  readonly #to: GPUBuffer;

  constructor(readonly device: GPUDevice, readonly chunk: number, depth: number) {
    const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
    this.#slots = Array.from({ length: depth }, () => ({ buffer: device.createBuffer({ size: chunk, usage, mappedAtCreation: true }), mapped: Promise.resolve() }));
    this.#to = target(device, chunk);
  }

  async send(source: Uint8Array<ArrayBuffer>, total: number): Promise<void> {
    let next = 0;
    for (const at of places(this.chunk, total)) {
      const slot = this.#slots[next++ % this.#slots.length];
      if (!slot) throw new RangeError('a ring has at least one buffer');
      await slot.mapped;
      new Uint8Array(slot.buffer.getMappedRange()).set(source.subarray(at, at + this.chunk));
      slot.buffer.unmap();
      copyToTarget(this.device, slot.buffer, this.#to, this.chunk);
      slot.mapped = slot.buffer.mapAsync(GPUMapMode.WRITE);
    }
  }

  destroy(): void {
    for (const { buffer, mapped } of this.#slots) {
      mapped.catch(() => {});
      buffer.destroy();
    }
    this.#to.destroy();
  }
}

function upload(device: GPUDevice, uploader: Uploader, source: Uint8Array<ArrayBuffer>): (total: number) => Promise<void> {
  const elements = (SHARD_BYTES / Q4_0.blockBytes) * Q4_0.blockWeights;
  const to = target(device, planarLayout(Q4_0.type, elements).words * 4);
  const job = { byteOffset: 0, byteLength: SHARD_BYTES, format: Q4_0.type, elements, firstElement: 0, totalElements: elements, target: to, targetWord: 0 };
  return async (total) => {
    for (const at of places(SHARD_BYTES, total)) await uploader.upload(source.subarray(at, at + SHARD_BYTES), [job]);
  };
}

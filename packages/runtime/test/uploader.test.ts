import { ShaderContext } from '@gatefold/shaders';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planarFormat, planarLayout } from '../../shaders/src/planar.ts';
import { dawnGpu } from '../../shaders/test/harness/dawn.ts';
import { planarReference } from '../../shaders/test/reference/quants.ts';
import { Uploader, UploadRangeError, type UploadJob } from '../src/residency/uploader.ts';

const Q4_0 = 2;
const Q8_0 = 8;
const Q6_K = 14;
const F32 = 0;

let device: GPUDevice;
const errors: string[] = [];

beforeAll(async () => {
  const adapter = await dawnGpu().requestAdapter();
  if (!adapter) throw new Error('no adapter');
  device = await adapter.requestDevice();
  device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
});
afterAll(() => {
  device.destroy();
  expect(errors).toEqual([]);
});

function target(words: number): GPUBuffer {
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  return device.createBuffer({ size: words * 4, usage: STORAGE | COPY_SRC | COPY_DST });
}

async function read(buffer: GPUBuffer): Promise<Uint8Array> {
  const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return bytes;
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, () => Math.floor(Math.random() * 256));
}

/** A whole matrix of `blocks` blocks whose raw bytes start at `byteOffset`. */
function wholeMatrix(format: number, blocks: number, byteOffset: number, buffer: GPUBuffer, targetWord: number): UploadJob {
  const { blockSize, blockBytes } = planarFormat(format);
  const elements = blocks * blockSize;
  return { byteOffset, byteLength: blocks * blockBytes, format, elements, firstElement: 0, totalElements: elements, target: buffer, targetWord };
}

/** What a target must hold after a whole matrix arrived. */
function expectMatrix(held: Uint8Array, { format, targetWord, byteOffset, byteLength }: UploadJob, bytes: Uint8Array): void {
  const planar = planarReference(format, bytes.subarray(byteOffset, byteOffset + byteLength));
  expect(Buffer.compare(held.subarray(targetWord * 4, targetWord * 4 + planar.length), planar)).toBe(0);
}

describe('Uploader', () => {
  it('brings matrices of several types to several buffers in one go', async () => {
    const uploader = new Uploader(device, new ShaderContext(device));
    const words = (format: number, blocks: number) => planarLayout(format, blocks * planarFormat(format).blockSize).words;
    const first = target(words(Q4_0, 33) + words(Q6_K, 5));
    const second = target(words(F32, 70));
    const bytes = randomBytes(1 + 33 * 18 + 5 * 210 + 70 * 4);
    const jobs = [
      wholeMatrix(Q4_0, 33, 1, first, 0),
      wholeMatrix(Q6_K, 5, 1 + 33 * 18, first, words(Q4_0, 33)),
      wholeMatrix(F32, 70, 1 + 33 * 18 + 5 * 210, second, 0),
    ];
    await uploader.upload(bytes, jobs);
    const held = [await read(first), await read(second)];
    for (const job of jobs) expectMatrix(held[job.target === first ? 0 : 1] ?? new Uint8Array(), job, bytes);
    uploader.dispose();
    expect(uploader.bytes).toBe(0);
  });

  it.each([256, 1000, 4096])('cuts what is larger than a staging buffer of %i bytes', async (slotBytes) => {
    const uploader = new Uploader(device, new ShaderContext(device), { slotBytes, slots: 2 });
    const bytes = randomBytes(301 * 34);
    const buffer = target(planarLayout(Q8_0, 301 * 32).words);
    const job = wholeMatrix(Q8_0, 301, 0, buffer, 0);
    await uploader.upload(bytes, [job]);
    expectMatrix(await read(buffer), job, bytes);
    expect(uploader.bytes).toBeLessThan(3 * (slotBytes + 16384));
    uploader.dispose();
  });

  it('puts pieces of one matrix together, more of them than share a flight, and takes several calls at once', async () => {
    const uploader = new Uploader(device, new ShaderContext(device), { slots: 2 });
    const raw = randomBytes(100 * 18);
    const buffer = target(planarLayout(Q4_0, 100 * 32).words);
    const job = wholeMatrix(Q4_0, 100, 0, buffer, 0);
    const piece = (block: number): UploadJob => ({ ...job, byteOffset: block * 18, byteLength: 18, elements: 32, firstElement: block * 32 });
    const blocks = Array.from({ length: 100 }, (_, block) => block);
    await Promise.all([uploader.upload(raw, blocks.slice(0, 51).map(piece)), uploader.upload(raw, blocks.slice(51).map(piece))]);
    expectMatrix(await read(buffer), job, raw);
    uploader.dispose();
  });

  it('refuses jobs outside the bytes or the buffer, and goes on after', async () => {
    const uploader = new Uploader(device, new ShaderContext(device));
    const buffer = target(8);
    const job: UploadJob = wholeMatrix(F32, 8, 0, buffer, 0);
    const bytes = randomBytes(32);
    await expect(uploader.upload(bytes.subarray(4), [job])).rejects.toThrow(UploadRangeError);
    await expect(uploader.upload(bytes, [{ ...job, targetWord: 4 }])).rejects.toThrow('writes to byte 48 of a buffer of 32');
    await expect(uploader.upload(bytes, [{ ...job, elements: 7 }])).rejects.toThrow('32 bytes for 7 F32 weights');
    await expect(uploader.upload(bytes, [{ ...job, firstElement: 1 }])).rejects.toThrow('weights 1 to 9 of a matrix of 8');
    await uploader.upload(bytes, [job]);
    expectMatrix(await read(buffer), job, bytes);
    uploader.dispose();
  });
});

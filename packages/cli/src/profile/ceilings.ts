import type { PassTimer } from './pass-timer.ts';
import { wgslStep } from './wgsl-step.ts';
import chainCode from './wgsl/chain.wgsl?raw';
import readCode from './wgsl/read.wgsl?raw';

const READS = 16;
const SIZE = { tokens: 1, context: 1 };

/** Bytes that a shader reads in a microsecond. @param bytes to read at most; more than any cache holds */
export async function readRate(device: GPUDevice, timer: PassTimer, bytes: number): Promise<number> {
  const tile = 256 * READS * 16;
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
  const tiles = Math.min(Math.floor(Math.min(bytes, maxBufferSize, maxStorageBufferBindingSize) / tile), maxComputeWorkgroupsPerDimension);
  const data = device.createBuffer({ size: tiles * tile, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const sink = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  // Zeros may be kept compressed: random words, a piece at a time.
  const noise = Uint32Array.from({ length: tile / 4 }, (_, i) => Math.imul(i + 1, 0x9e3779b9));
  for (let at = 0; at < tiles; at++) device.queue.writeBuffer(data, at * tile, noise);
  const step = await wgslStep(device, { label: 'read', code: readCode, constants: { READS }, bindings: [{ buffer: data }, { buffer: sink }], workgroups: [tiles, 1, 1] });
  const us = await timer.time([step], SIZE);
  data.destroy();
  sink.destroy();
  return (tiles * tile) / us;
}

/** Microseconds that a dispatch costs which does nothing but wait for the one before. */
export async function dispatchCost(device: GPUDevice, timer: PassTimer): Promise<number> {
  const count = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  const step = await wgslStep(device, { label: 'chain', code: chainCode, bindings: [{ buffer: count }], workgroups: [1, 1, 1] });
  const us = await timer.time(Array.from({ length: 64 }, () => step), SIZE);
  count.destroy();
  return us / 64;
}

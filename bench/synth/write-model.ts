import { closeSync, openSync, writeSync } from 'node:fs';
import { randomBlocks, type BlockType } from './blocks.ts';
import { ALIGNMENT, encodeHeader } from './header.ts';
import { metadata } from './metadata.ts';
import { Random } from './random.ts';
import type { Shape } from './shapes.ts';
import { tensors, type FileType, type SynthTensor } from './tensors.ts';

/** Random blocks are made once and then written again and again from other places on: memory is faster than any generator. */
const POOL_BYTES = 64 << 20;

/**
 * Writes a GGUF file of a real model's shape with random weights: legal blocks, zero mean, activations around 1. Experts
 * are distinct, though they share blocks at different places. The same arguments make the same bytes.
 * @param name `general.name` of the file @returns its size in bytes
 */
export function writeModel(path: string, name: string, shape: Shape, fileType: FileType, seed = 1): number {
  const random = new Random(seed);
  const list = tensors(shape, fileType);
  const pools = randomPools(list, random);
  let end = 0;
  const placed = list.map((tensor) => {
    const offset = end;
    end = align(offset + tensorBytes(tensor));
    return { ...tensor, offset, type: tensor.type?.id ?? 0 };
  });
  const header = encodeHeader(metadata(name, shape, fileType), placed);
  const file = openSync(path, 'w');
  try {
    writeAll(file, header);
    for (const tensor of list) {
      writeTensor(file, tensor, pools, random);
      const bytes = tensorBytes(tensor);
      writeAll(file, new Uint8Array(align(bytes) - bytes));
    }
  } finally {
    closeSync(file);
  }
  return header.length + end;
}

/** A pool for each block type and deviation; a small model's is no larger than its tensors together. */
function randomPools(list: readonly SynthTensor[], random: Random): ReadonlyMap<string, Uint8Array> {
  const needs = new Map<string, { type: BlockType; deviation: number; blocks: number }>();
  for (const { type, deviation, shape } of list) {
    if (!type) continue;
    const key = poolKey(type, deviation);
    needs.set(key, { type, deviation, blocks: (needs.get(key)?.blocks ?? 0) + count(shape) / type.blockSize });
  }
  const pool = ({ type, deviation, blocks }: { type: BlockType; deviation: number; blocks: number }) =>
    randomBlocks(type, Math.min(blocks, Math.floor(POOL_BYTES / type.blockBytes)), deviation, random);
  return new Map(Array.from(needs, ([key, need]) => [key, pool(need)]));
}

function poolKey({ name }: BlockType, deviation: number): string {
  return `${name} ${deviation}`;
}

function writeTensor(file: number, tensor: SynthTensor, pools: ReadonlyMap<string, Uint8Array>, random: Random): void {
  const { type, shape, mean, deviation } = tensor;
  if (!type) {
    writeAll(file, new Uint8Array(random.normals(count(shape), mean, deviation).buffer));
    return;
  }
  const pool = pools.get(poolKey(type, deviation)) ?? new Uint8Array();
  // Stacked experts one by one: each from a place of its own.
  const slices = shape.length === 3 ? (shape[0] ?? 1) : 1;
  for (let slice = 0; slice < slices; slice++) writeBlocks(file, pool, type, count(shape) / slices / type.blockSize, random);
}

/** Blocks of the pool, from a random one on and round its end; more than it holds start anew from another. */
function writeBlocks(file: number, pool: Uint8Array, type: BlockType, blocks: number, random: Random): void {
  const poolBlocks = pool.length / type.blockBytes;
  for (let left = blocks; left > 0; ) {
    const run = Math.min(left, poolBlocks);
    const start = random.int(poolBlocks);
    const first = Math.min(run, poolBlocks - start);
    writeAll(file, pool.subarray(start * type.blockBytes, (start + first) * type.blockBytes));
    writeAll(file, pool.subarray(0, (run - first) * type.blockBytes));
    left -= run;
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

function tensorBytes({ type, shape }: SynthTensor): number {
  return type ? (count(shape) / type.blockSize) * type.blockBytes : count(shape) * 4;
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

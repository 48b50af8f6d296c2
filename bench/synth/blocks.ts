import type { Random } from './random.ts';

/** A ggml block type, and how random bytes become blocks of it. Layouts after ggml's `ggml-common.h`. */
export interface BlockType {
  readonly name: string;
  /** Number in ggml's `enum ggml_type`. */
  readonly id: number;
  readonly blockSize: number;
  readonly blockBytes: number;
  /**
   * Overwrites the scale fields of a block of random bytes, so that its weights have mean 0 and deviation `sigma` over
   * many blocks. Zero mean matters: with any other, the residual stream collapses onto one direction and every token
   * asks for the same few experts.
   */
  readonly scale: (block: DataView, at: number, sigma: number, random: Random) => void;
}

/** Root mean square of uniform integers 0 … levels-1 around `centre`. */
function rms(levels: number, centre: number): number {
  let sum = 0;
  for (let q = 0; q < levels; q++) sum += (q - centre) ** 2;
  return Math.sqrt(sum / levels);
}

// Symmetric types lean by half a step to one side; a random sign of the scale makes up for it.
const q4_0: BlockType = {
  name: 'Q4_0',
  id: 2,
  blockSize: 32,
  blockBytes: 18,
  scale: (block, at, sigma, random) => block.setUint16(at, signedHalf(sigma / rms(16, 8), random), true),
};

const q8_0: BlockType = {
  name: 'Q8_0',
  id: 8,
  blockSize: 32,
  blockBytes: 34,
  scale: (block, at, sigma, random) => block.setUint16(at, signedHalf(sigma / rms(256, 128), random), true),
};

/** Scales and minima of the eight sub-blocks are equal, so that with dmin = 7.5 d each lies around 0. */
const q4K: BlockType = {
  name: 'Q4_K',
  id: 12,
  blockSize: 256,
  blockBytes: 144,
  scale: (block, at, sigma, random) => {
    const scales = Array.from({ length: 8 }, () => 16 + random.int(16));
    const d = sigma / rms(16, 7.5) / (scales.reduce((sum, scale) => sum + scale, 0) / 8);
    block.setUint16(at, half(d), true);
    block.setUint16(at + 2, half(7.5 * d), true);
    for (let j = 0; j < 4; j++) {
      const [low = 0, high = 0] = [scales[j], scales[j + 4]];
      block.setUint8(at + 4 + j, low | ((high >> 4) << 6));
      block.setUint8(at + 8 + j, low | ((high >> 4) << 6));
      block.setUint8(at + 12 + j, (high & 15) | ((high & 15) << 4));
    }
  },
};

const q6K: BlockType = {
  name: 'Q6_K',
  id: 14,
  blockSize: 256,
  blockBytes: 210,
  scale: (block, at, sigma, random) => {
    for (let j = 0; j < 16; j++) {
      const scale = 4 + random.int(4);
      block.setInt8(at + 192 + j, random.int(2) === 0 ? scale : -scale);
    }
    block.setUint16(at + 208, half(sigma / rms(64, 32) / 5.6), true);
  },
};

/** Values are symmetric: ±{0, 0.5, 1, 1.5, 2, 3, 4, 6} times a power of two (OCP Microscaling Formats, v1.0). */
const mxfp4: BlockType = {
  name: 'MXFP4',
  id: 39,
  blockSize: 32,
  blockBytes: 17,
  scale: (block, at, sigma, random) => {
    const exponent = Math.round(Math.log2(sigma / 2.89)) + random.int(3) - 1;
    block.setUint8(at, 127 + exponent);
  },
};

export const BLOCK_TYPES = { Q4_0: q4_0, Q8_0: q8_0, Q4_K: q4K, Q6_K: q6K, MXFP4: mxfp4 } as const;

/** `count` random blocks one after the other. */
export function randomBlocks(type: BlockType, count: number, sigma: number, random: Random): Uint8Array<ArrayBuffer> {
  const bytes = count * type.blockBytes;
  const words = new Uint32Array(Math.ceil(bytes / 4));
  random.bits(words);
  const view = new DataView(words.buffer);
  for (let block = 0; block < count; block++) type.scale(view, block * type.blockBytes, sigma, random);
  return new Uint8Array(words.buffer, 0, bytes);
}

const SINGLE = new DataView(new ArrayBuffer(4));

function signedHalf(value: number, random: Random): number {
  return half(value) | (random.int(2) << 15);
}

/** Bits of a positive number as binary16, in its normal range (6.2e-5 … 65504), cut off. */
function half(value: number): number {
  SINGLE.setFloat32(0, value);
  const bits = SINGLE.getUint32(0);
  return ((bits >>> 13) & 0x3ff) | (((bits >>> 23) - 112) << 10);
}

import { planarFormat, planarLayout } from '../../src/planar.ts';
import type { KernelTest } from '../harness/kernel-case.ts';

/** One raw block, read as ggml-quants.c does. */
class Block {
  constructor(readonly view: DataView) {}
  byte(at: number): number {
    return this.view.getUint8(at);
  }
  bit(at: number, i: number): number {
    return (this.byte(at + (i >> 3)) >> (i & 7)) & 1;
  }
  half(at: number): number {
    const bits = this.view.getUint16(at, true);
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const mantissa = bits & 1023;
    return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
  }
  /** Nibble i of 16 bytes that hold weights 0-15 low and 16-31 high. */
  nibble(at: number, i: number): number {
    return (this.byte(at + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
  }
}

const NON_LINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** An unsigned float of 4 bits of exponent and 3 of mantissa; NaN's code is 0, as in ggml. */
function e4m3(bits: number): number {
  const [exponent, mantissa] = [(bits >> 3) & 15, bits & 7];
  if (bits === 127) return 0;
  return exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7);
}

/** Q4_K and Q5_K: scale and minimum number j (0-7) of the 12 bytes at 4 (`get_scale_min_k4`). */
function kScales(b: Block, j: number): readonly [scale: number, min: number] {
  const s = (i: number): number => b.byte(4 + i);
  if (j < 4) return [s(j) & 63, s(j + 4) & 63];
  return [(s(j + 4) & 15) | ((s(j - 4) >> 6) << 4), (s(j + 4) >> 4) | ((s(j) >> 6) << 4)];
}

/** Two bits of weight i of 256, 128 weights in each run of 32 bytes (Q2_K, Q3_K, upper bits of Q6_K). */
function crumb(b: Block, at: number, i: number): number {
  return (b.byte(at + 32 * Math.floor(i / 128) + (i % 32)) >> (2 * Math.floor((i % 128) / 32))) & 3;
}

/** Four bits of weight i of 256, 64 weights in each run of 32 bytes (Q4_K, Q5_K). */
function kNibble(b: Block, at: number, i: number): number {
  return (b.byte(at + 32 * Math.floor(i / 64) + (i % 32)) >> (4 * Math.floor((i % 64) / 32))) & 15;
}

/** Value of weight i of a block, by type name. Exact: every value fits an f64. */
const VALUES: Readonly<Record<string, (b: Block, i: number) => number>> = {
  F32: (b) => b.view.getFloat32(0, true),
  F16: (b) => b.half(0),
  BF16: (b) => {
    const wide = new DataView(new ArrayBuffer(4));
    wide.setUint16(0, b.view.getUint16(0, true), false);
    return wide.getFloat32(0, false);
  },
  Q4_0: (b, i) => b.half(0) * (b.nibble(2, i) - 8),
  Q4_1: (b, i) => b.half(0) * b.nibble(4, i) + b.half(2),
  Q5_0: (b, i) => b.half(0) * (b.nibble(6, i) + 16 * b.bit(2, i) - 16),
  Q5_1: (b, i) => b.half(0) * (b.nibble(8, i) + 16 * b.bit(4, i)) + b.half(2),
  Q8_0: (b, i) => b.half(0) * b.view.getInt8(2 + i),
  Q2_K: (b, i) => {
    const scales = b.byte(Math.floor(i / 16));
    return b.half(80) * (scales & 15) * crumb(b, 16, i) - b.half(82) * (scales >> 4);
  },
  Q3_K: (b, i) => {
    const j = Math.floor(i / 16);
    const low = (b.byte(96 + (j % 8)) >> (j < 8 ? 0 : 4)) & 15;
    const high = (b.byte(104 + (j % 4)) >> (2 * Math.floor(j / 4))) & 3;
    const third = (b.byte(i % 32) >> Math.floor(i / 32)) & 1;
    return b.half(108) * (low + 16 * high - 32) * (crumb(b, 32, i) - (third ? 0 : 4));
  },
  Q4_K: (b, i) => {
    const [scale, min] = kScales(b, Math.floor(i / 32));
    return b.half(0) * scale * kNibble(b, 16, i) - b.half(2) * min;
  },
  Q5_K: (b, i) => {
    const [scale, min] = kScales(b, Math.floor(i / 32));
    const fifth = (b.byte(16 + (i % 32)) >> Math.floor(i / 32)) & 1;
    return b.half(0) * scale * (kNibble(b, 48, i) + 16 * fifth) - b.half(2) * min;
  },
  Q6_K: (b, i) => {
    const quarter = Math.floor((i % 128) / 32);
    const low = (b.byte(64 * Math.floor(i / 128) + 32 * (quarter % 2) + (i % 32)) >> (quarter < 2 ? 0 : 4)) & 15;
    return b.half(208) * b.view.getInt8(192 + Math.floor(i / 16)) * (low + 16 * crumb(b, 128, i) - 32);
  },
  IQ4_NL: (b, i) => b.half(0) * (NON_LINEAR[b.nibble(2, i)] ?? NaN),
  IQ4_XS: (b, i) => {
    const j = Math.floor(i / 32);
    const low = (b.byte(4 + Math.floor(j / 2)) >> (4 * (j % 2))) & 15;
    const high = (b.view.getUint16(2, true) >> (2 * j)) & 3;
    return b.half(0) * (low + 16 * high - 32) * (NON_LINEAR[b.nibble(8 + 16 * j, i % 32)] ?? NaN);
  },
  NVFP4: (b, i) => {
    const part = Math.floor(i / 16);
    const nibble = (b.byte(4 + 8 * part + (i % 8)) >> (i % 16 < 8 ? 0 : 4)) & 15;
    return e4m3(b.byte(part)) * (E2M1[nibble] ?? NaN);
  },
  MXFP4: (b, i) => 2 ** (b.byte(0) - 127) * (E2M1[b.nibble(1, i)] ?? NaN),
};

/** Values of raw GGUF blocks, exactly. */
export function dequantize(type: number, raw: Uint8Array): Float64Array {
  const { name, blockSize, blockBytes } = planarFormat(type);
  const value = VALUES[name];
  if (!value) throw new Error(`no reference for ${name}`);
  const values = new Float64Array((raw.length / blockBytes) * blockSize);
  for (let first = 0, at = 0; at < raw.length; first += blockSize, at += blockBytes) {
    const block = new Block(new DataView(raw.buffer, raw.byteOffset + at, blockBytes));
    for (let i = 0; i < blockSize; i++) values[first + i] = value(block, i);
  }
  return values;
}

/** Where a block's f16 scales lie, and what its largest quant is about, for values around 1. */
const SCALES: Readonly<Record<string, { readonly at: readonly number[]; readonly largest: number }>> = {
  F16: { at: [0], largest: 1 },
  Q4_0: { at: [0], largest: 8 },
  Q4_1: { at: [0, 2], largest: 15 },
  Q5_0: { at: [0], largest: 16 },
  Q5_1: { at: [0, 2], largest: 31 },
  Q8_0: { at: [0], largest: 128 },
  Q2_K: { at: [80, 82], largest: 45 },
  Q3_K: { at: [108], largest: 128 },
  Q4_K: { at: [0, 2], largest: 945 },
  Q5_K: { at: [0, 2], largest: 1953 },
  Q6_K: { at: [208], largest: 4096 },
  IQ4_NL: { at: [0], largest: 127 },
  IQ4_XS: { at: [0], largest: 4064 },
};

/** Raw blocks of random bits, whose scales (of either sign, some of them f16 subnormals) make values of about `size`. */
export function randomBlocks(t: KernelTest, type: number, elements: number, size = 1): Uint8Array<ArrayBuffer> {
  const { name, blockSize, blockBytes } = planarFormat(type);
  const raw = Uint8Array.from({ length: (elements / blockSize) * blockBytes }, () => t.randomInt(256));
  const view = new DataView(raw.buffer);
  const scales = SCALES[name];
  const exponent = Math.round(Math.log2(size / (scales?.largest ?? 1)));
  for (let at = 0; at < raw.length; at += blockBytes) {
    const jitter = exponent + t.randomInt(3) - 1;
    if (name === 'F32') view.setFloat32(at, size * (2 * t.random() - 1), true);
    if (name === 'BF16') view.setUint16(at, (t.randomInt(2) << 15) | ((127 + jitter) << 7) | t.randomInt(128), true);
    if (name === 'NVFP4') for (let part = 0; part < 4; part++) view.setUint8(at + part, (Math.max(0, 6 + jitter) << 3) | t.randomInt(8));
    if (name === 'MXFP4') view.setUint8(at, 125 + jitter);
    for (const place of scales?.at ?? []) {
      view.setUint16(at + place, (t.randomInt(2) << 15) | (Math.max(0, 15 + jitter) << 10) | t.randomInt(1024), true);
    }
  }
  return raw;
}

/** What the repack must make of raw blocks: each block's fields one after the other in their planes, padded with 0. */
export function planarReference(type: number, raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const { blockSize, blockBytes } = planarFormat(type);
  const blocks = raw.length / blockBytes;
  const { planes, words } = planarLayout(type, blocks * blockSize);
  const planar = new Uint8Array(words * 4);
  for (const { offset, bytes, firstWord } of planes) {
    for (let block = 0; block < blocks; block++) {
      const at = block * blockBytes + offset;
      planar.set(raw.subarray(at, at + bytes), firstWord * 4 + block * bytes);
    }
  }
  return planar;
}

/** A random planar matrix lying at `baseWord` of a buffer, and its values. */
export function randomMatrix(t: KernelTest, type: number, rows: number, cols: number, size = 1): { readonly planar: Uint8Array<ArrayBuffer>; readonly values: Float64Array } {
  const raw = randomBlocks(t, type, rows * cols, size);
  return { planar: planarReference(type, raw), values: dequantize(type, raw) };
}

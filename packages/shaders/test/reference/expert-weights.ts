import { planarLayout, type ExpertPool, type PlanarMatrix } from '../../src/planar.ts';
import type { KernelTest } from '../harness/kernel-case.ts';

export const F32 = 0;
export const Q4_0 = 2;
export const Q8_0 = 8;

export interface MatrixShape {
  readonly type: number;
  readonly rows: number;
  readonly cols: number;
}

/** A pool of random experts, and the exact value of each weight: `values[expert][matrix][row · cols + col]`. */
export interface RandomPool {
  readonly pool: ExpertPool;
  readonly values: readonly (readonly Float64Array[])[];
}

/** A random permutation of slots, with those of `absent` experts marked; one slot more than experts. */
export function randomSlots(t: KernelTest, experts: number, absent: readonly number[] = []): Uint32Array<ArrayBuffer> {
  const free = Array.from({ length: experts + 1 }, (_, slot) => slot);
  return Uint32Array.from({ length: experts }, (_, e) => {
    const slot = free.splice(t.randomInt(free.length), 1)[0] ?? 0;
    return absent.includes(e) ? 0xffffffff : slot;
  });
}

/** Experts of random weights in their slots. Unused slots and those of absent experts hold NaNs. */
export function randomPool(t: KernelTest, shapes: readonly MatrixShape[], slots: Uint32Array, slotsPerPage: number): RandomPool {
  let slotWords = 0;
  const matrices = shapes.map(({ type, rows, cols }): PlanarMatrix => {
    const matrix = { type, rows, cols, baseWord: slotWords };
    slotWords += planarLayout(type, rows * cols).words;
    return matrix;
  });
  const pages = Array.from({ length: Math.ceil((slots.length + 1) / slotsPerPage) }, () => new Uint32Array(slotsPerPage * slotWords).fill(0xffffffff));
  const values = Array.from(slots, (slot) =>
    matrices.map(({ type, rows, cols, baseWord }) => {
      const matrix = randomMatrix(t, type, rows * cols, 1 / Math.sqrt(cols));
      const page = pages[Math.floor(slot / slotsPerPage)];
      if (page) packPlanes(type, matrix.raw, new Uint8Array(page.buffer, ((slot % slotsPerPage) * slotWords + baseWord) * 4));
      return matrix.values;
    }),
  );
  return { pool: { pages: pages.map((page) => t.input(page)), slotsPerPage, slotWords, matrices }, values };
}

/** Raw GGUF blocks of random weights, and their values (ggml-quants.c: value = d · quant). */
function randomMatrix(t: KernelTest, type: number, elements: number, deviation: number): { raw: Uint8Array; values: Float64Array } {
  if (type === F32) {
    const values = t.randomNormal(elements, deviation);
    return { raw: new Uint8Array(values.buffer), values: Float64Array.from(values) };
  }
  const blockBytes = type === Q8_0 ? 34 : 18;
  const raw = new Uint8Array((elements / 32) * blockBytes);
  const view = new DataView(raw.buffer);
  const values = new Float64Array(elements);
  for (let block = 0; block < elements / 32; block++) {
    // f16 with a random exponent around the wanted size and a random mantissa.
    const target = (deviation * (0.5 + t.random())) / (type === Q8_0 ? 73 : 4.6);
    const exponent = Math.floor(Math.log2(target));
    const mantissa = t.randomInt(1024);
    const at = block * blockBytes;
    view.setUint16(at, ((exponent + 15) << 10) | mantissa, true);
    const d = 2 ** exponent * (1 + mantissa / 1024);
    for (let i = 0; i < 32; i++) {
      if (type === Q8_0) {
        const quant = t.randomInt(256) - 128;
        view.setInt8(at + 2 + i, quant);
        values[block * 32 + i] = d * quant;
      } else {
        const quant = t.randomInt(16);
        const place = at + 2 + (i % 16);
        raw[place] = (raw[place] ?? 0) | (quant << (i < 16 ? 0 : 4));
        values[block * 32 + i] = d * (quant - 8);
      }
    }
  }
  return { raw, values };
}

/** The repack, stated on the host: each block's fields go to their planes. */
function packPlanes(type: number, raw: Uint8Array, into: Uint8Array): void {
  const blockBytes = type === F32 ? 4 : type === Q8_0 ? 34 : 18;
  const blocks = raw.length / blockBytes;
  const elements = type === F32 ? blocks : blocks * 32;
  for (const { offset, bytes, firstWord } of planarLayout(type, elements).planes) {
    for (let block = 0; block < blocks; block++) {
      for (let i = 0; i < bytes; i++) into[firstWord * 4 + block * bytes + i] = raw[block * blockBytes + offset + i] ?? 0;
    }
  }
}

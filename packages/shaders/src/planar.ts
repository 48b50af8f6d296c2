import type { Conditions } from './context.ts';
import { KernelArgumentError } from './errors.ts';

/** One field of a GGUF block, which the repack gathers into a plane of its own. */
export interface PlaneField {
  /** Offset of the field in the raw block, in bytes. */
  readonly offset: number;
  /** Bytes that each block contributes. */
  readonly bytes: number;
}

/**
 * How a GGUF tensor type lies in GPU memory. Raw blocks have odd sizes (18, 34, 210 bytes), which makes wide aligned
 * loads impossible, so a matrix is kept as planes: field 0 of all its blocks, then field 1 of all, and so on, in
 * block order, each plane padded to 16 bytes. No bit is changed, so the size is that of the file.
 */
export interface PlanarFormat {
  /** Name as in GGUF; the WESL condition `WEIGHT_<name>` includes its decoder. */
  readonly name: string;
  /** Number in ggml's `enum ggml_type`. */
  readonly id: number;
  /** Weights in a block. */
  readonly blockSize: number;
  /** Bytes of a raw block. */
  readonly blockBytes: number;
  readonly planes: readonly PlaneField[];
}

const format = (name: string, id: number, blockSize: number, ...planes: readonly [offset: number, bytes: number][]): PlanarFormat => ({
  name,
  id,
  blockSize,
  blockBytes: planes.reduce((sum, [, bytes]) => sum + bytes, 0),
  planes: planes.map(([offset, bytes]) => ({ offset, bytes })),
});

/** Layouts after ggml's `ggml-common.h`. Quants come first, since their planes are read with 16-byte loads. */
export const PLANAR_FORMATS: readonly PlanarFormat[] = [
  format('F32', 0, 1, [0, 4]),
  format('F16', 1, 1, [0, 2]),
  format('BF16', 30, 1, [0, 2]),
  format('Q4_0', 2, 32, [2, 16], [0, 2]), // quants | d f16
  format('Q4_1', 3, 32, [4, 16], [0, 4]), // quants | d, m f16
  format('Q5_0', 6, 32, [6, 16], [2, 4], [0, 2]), // quants | high bits | d f16
  format('Q5_1', 7, 32, [8, 16], [4, 4], [0, 4]), // quants | high bits | d, m f16
  format('Q8_0', 8, 32, [2, 32], [0, 2]), // quants | d f16
  format('Q2_K', 10, 256, [16, 64], [0, 16], [80, 4]), // quants | scales | d, dmin f16
  format('Q3_K', 11, 256, [32, 64], [0, 32], [96, 12], [108, 2]), // low bits | high bits | scales | d f16
  format('Q4_K', 12, 256, [16, 128], [0, 16]), // quants | d, dmin f16 and scales
  format('Q5_K', 13, 256, [48, 128], [16, 32], [0, 16]), // low bits | high bits | d, dmin f16 and scales
  format('Q6_K', 14, 256, [0, 128], [128, 64], [192, 16], [208, 2]), // low bits | high bits | scales i8 | d f16
  format('IQ4_NL', 20, 32, [2, 16], [0, 2]), // indices | d f16
  format('IQ4_XS', 23, 256, [8, 128], [0, 8]), // indices | d f16 and scales
  format('MXFP4', 39, 32, [1, 16], [0, 1]), // indices | exponent
  format('NVFP4', 40, 64, [4, 32], [0, 4]), // indices | scales E4M3
];

/** @param type ggml type number. Throws `KernelArgumentError` for a type that no kernel decodes. */
export function planarFormat(type: number): PlanarFormat {
  const found = PLANAR_FORMATS.find(({ id }) => id === type);
  if (!found) throw new KernelArgumentError('planar', `no kernel decodes ggml type ${type}; known: ${PLANAR_FORMATS.map(({ name }) => name).join(', ')}`);
  return found;
}

/** Conditions by which `quant/dequant.wesl` includes the decoders of these ggml types. */
export function formatConditions(types: readonly number[]): Conditions {
  return Object.fromEntries(types.map((type) => [`WEIGHT_${planarFormat(type).name}`, true]));
}

/** A plane's place within a planar matrix, in 32-bit words. */
export interface PlanePlace extends PlaneField {
  readonly firstWord: number;
  readonly words: number;
}

/** Where each plane of a matrix of `elements` weights lies, and the whole size in words (a multiple of 4). */
export function planarLayout(type: number, elements: number): { readonly planes: readonly PlanePlace[]; readonly words: number } {
  const { name, blockSize, planes } = planarFormat(type);
  const blocks = elements / blockSize;
  if (!Number.isInteger(blocks)) throw new KernelArgumentError('planar', `${elements} weights are no whole number of ${name} blocks of ${blockSize}`);
  let firstWord = 0;
  const places = planes.map((plane) => {
    const words = Math.ceil(Math.ceil((blocks * plane.bytes) / 4) / 4) * 4;
    const place = { ...plane, firstWord, words };
    firstWord += words;
    return place;
  });
  return { planes: places, words: firstWord };
}

/**
 * A matrix in planar form, stored row by row: `rows` outputs of `cols` inputs each.
 * `cols` is a multiple of the type's block size and of 32.
 */
export interface PlanarMatrix {
  /** ggml type number. */
  readonly type: number;
  readonly rows: number;
  readonly cols: number;
  /** First word of the matrix within the buffer that it is bound in; a multiple of 4. */
  readonly baseWord: number;
}

/** Up to three matrices over one input, lying in one buffer; their outputs are concatenated (e.g. Q, K and V). */
export interface StackedWeights {
  readonly binding: GPUBufferBinding;
  readonly matrices: readonly PlanarMatrix[];
}

/**
 * Experts of one layer in fixed slots. Slot `s` starts `(s % slotsPerPage) * slotWords` words into
 * `pages[floor(s / slotsPerPage)]`. Matrices' `baseWord`s count from the start of the slot. A page is at most the
 * adapter's binding limit, which is why there can be several.
 */
export interface ExpertPool {
  readonly pages: readonly GPUBufferBinding[];
  readonly slotsPerPage: number;
  readonly slotWords: number;
  readonly matrices: readonly PlanarMatrix[];
  /** Of each matrix the bias, one row of F32 in the slot; absent where experts have none. */
  readonly biases?: readonly PlanarMatrix[];
}

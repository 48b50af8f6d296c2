import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { planarFormat, planarLayout } from './planar.ts';
import type { Step } from './step.ts';

/** Bytes of a gather in the buffer that `repack` reads. */
export const GATHER_BYTES = 32;
const THREADS = 256;

/** A run of raw blocks in the staging buffer, and the planar matrix that it is a part of. */
export interface RepackPiece {
  /** ggml type number. */
  readonly format: number;
  /** Any byte of the staging buffer. */
  readonly stagingByte: number;
  /** Weights in this piece, and the first one's place in the matrix: whole blocks. */
  readonly elements: number;
  readonly firstElement: number;
  /** Weights of the whole matrix. */
  readonly totalElements: number;
  /** First word of the matrix in the destination. */
  readonly targetWord: number;
}

/** What becomes (a part of) one plane: one field of a run of raw blocks. Places count from the buffers' starts. */
export interface PlaneGather {
  /** First block's field, in bytes of the staging buffer. */
  readonly source: number;
  /** Bytes from block to block. */
  readonly stride: number;
  /** Bytes of the field. */
  readonly field: number;
  /** Bytes to gather: the fields of all blocks. */
  readonly bytes: number;
  /** First word of the destination, and how many of its bytes lie before the gathered ones. */
  readonly word: number;
  readonly skip: number;
}

/**
 * The gathers of a piece, one a plane. Throws `KernelArgumentError` for parts of blocks and for a piece that reaches
 * beyond its matrix.
 */
export function planeGathers(piece: RepackPiece): readonly PlaneGather[] {
  const { format, stagingByte, elements, firstElement, totalElements, targetWord } = piece;
  const { name, blockSize, blockBytes } = planarFormat(format);
  if (elements % blockSize !== 0 || firstElement % blockSize !== 0) {
    throw new KernelArgumentError('repack', `${elements} weights from ${firstElement} are no whole ${name} blocks of ${blockSize}`);
  }
  if (firstElement < 0 || firstElement + elements > totalElements) {
    throw new KernelArgumentError('repack', `weights ${firstElement} to ${firstElement + elements} of a matrix of ${totalElements}`);
  }
  return planarLayout(format, totalElements).planes.map(({ offset, bytes, firstWord }) => {
    const firstByte = (firstElement / blockSize) * bytes;
    return {
      source: stagingByte + offset,
      stride: blockBytes,
      field: bytes,
      bytes: (elements / blockSize) * bytes,
      word: targetWord + firstWord + Math.floor(firstByte / 4),
      skip: firstByte % 4,
    };
  });
}

/** Gathers as the kernel reads them. */
export function packGathers(gathers: readonly PlaneGather[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(gathers.flatMap(({ source, stride, field, bytes, word, skip }) => [source, stride, field, bytes, word, skip, 0, 0]));
}

export interface RepackArgs {
  readonly label: string;
  /** Raw blocks. */
  readonly staging: GPUBufferBinding;
  readonly gathers: readonly PlaneGather[];
  /** The same, packed. */
  readonly packed: GPUBufferBinding;
  /** Where the planar matrices lie. Pieces of one matrix may be written by one step or by several. */
  readonly destination: GPUBufferBinding;
}

/** Turns raw GGUF blocks into planar matrices, bit for bit. */
export function repack(context: ShaderContext, { label, staging, gathers, packed, destination }: RepackArgs): Promise<Step> {
  const words = gathers.map(({ bytes, skip }) => Math.ceil((bytes + skip) / 4));
  return context.step({
    label,
    module: 'repack',
    bindings: { 0: staging, 1: packed, 2: destination },
    workgroups: [Math.ceil(Math.max(...words) / THREADS), gathers.length, 1],
  });
}

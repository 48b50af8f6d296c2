import { planarLayout, type ExpertPool, type PlanarMatrix, type StackedWeights } from '@gatefold/shaders';

/** ggml's numbers. */
export const TYPES = { Q4_0: 2, Q4_K: 12, Q6_K: 14 } as const;
export type TypeName = keyof typeof TYPES;

/** 2^-7 twice, as f16. */
const SCALES = 0x20002000;

/** Random weights in planar form. */
export class RandomWeights {
  readonly #buffers: GPUBuffer[] = [];

  constructor(readonly device: GPUDevice) {}

  /** Matrices over the same inputs. */
  stacked(type: TypeName, cols: number, rows: readonly number[]): StackedWeights {
    const { matrices, words } = place(type, rows.map((of) => ({ rows: of, cols })));
    return { binding: this.#fill(matrices, words, 1), matrices };
  }

  /** Experts in the slots of their numbers. */
  pool(type: TypeName, shapes: readonly { readonly rows: number; readonly cols: number }[], experts: number): ExpertPool {
    const { matrices, words } = place(type, shapes);
    return { pages: [this.#fill(matrices, words, experts)], slotsPerPage: experts, slotWords: words, matrices };
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  #fill(matrices: readonly PlanarMatrix[], slotWords: number, slots: number): GPUBufferBinding {
    const data = crypto.getRandomValues(new Uint32Array(slotWords).subarray(0, 16_384));
    const slot = new Uint32Array(slotWords).map((_, i) => (data[i % data.length] ?? 0) ^ Math.imul(i, 0x9e3779b1));
    for (const { type, rows, cols, baseWord } of matrices) fillScales(slot.subarray(baseWord), type, rows * cols);
    const buffer = this.device.createBuffer({ size: slotWords * 4 * slots, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
    for (let at = 0; at < slots; at++) this.device.queue.writeBuffer(buffer, at * slotWords * 4, slot);
    this.#buffers.push(buffer);
    return { buffer };
  }
}

function place(type: TypeName, shapes: readonly { readonly rows: number; readonly cols: number }[]): { readonly matrices: readonly PlanarMatrix[]; readonly words: number } {
  let words = 0;
  const matrices = shapes.map(({ rows, cols }) => {
    const matrix = { type: TYPES[type], rows, cols, baseWord: words };
    words += planarLayout(matrix.type, rows * cols).words;
    return matrix;
  });
  return { matrices, words };
}

/** Blocks' factors are in the last plane; Q4_K has them at the head of the scales. */
function fillScales(words: Uint32Array, type: number, elements: number): void {
  const plane = planarLayout(type, elements).planes.at(-1);
  if (!plane) return;
  const step = type === TYPES.Q4_K ? 4 : 1;
  for (let word = 0; word < plane.words; word += step) words[plane.firstWord + word] = SCALES;
}

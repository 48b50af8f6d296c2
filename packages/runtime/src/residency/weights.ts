import type { ExpertPool, PlanarMatrix, StackedWeights } from '@gatefold/shaders';
import type { GgufModel, TensorInfo } from '../model/gguf/types.ts';
import { isGated, type Activation, type LayerSpec, type ModelSpec } from '../model/spec.ts';
import type { SlotQuotas } from './budget.ts';
import { LimitError, UnsupportedSpecError } from './errors.ts';
import type { GpuMemory } from './gpu-memory.ts';
import { isExpertTensor } from '../shards/plan.ts';
import { mixerStacks } from './mixer-stacks.ts';
import { matrixShape, planarBytes, stack, wholeWeights, type PlacedExperts, type PlacedTensor } from './placement.ts';

/** ggml's number for F32, the only type that norms and biases come in. */
const F32 = 0;

/** A planar matrix in GPU memory and which rows of its tensor (or of one expert's slice of it) it holds. */
export interface Destination {
  readonly buffer: GPUBuffer;
  readonly matrix: PlanarMatrix;
  readonly firstRow: number;
}

/** A tensor whose rows are matrices of a pool's slots. */
interface PooledTensor {
  readonly pool: ExpertPool;
  /** The one expert whose tensor it is; undefined where all experts' are stacked in it. */
  readonly expert: number | undefined;
  readonly matrix: PlanarMatrix;
  /** First row of the tensor (of one expert's slice) that lies in `matrix`. */
  readonly firstRow: number;
}


/** Convolutions' kernels are read as they are, like vectors. */
const CONVOLUTION = /\.(shortconv\.conv|ssm_conv1d)\.weight$/;

/** Tensors that hold a matrix of each expert, from this row of an expert's slice on. */
interface ExpertTensors {
  readonly tensors: readonly string[];
  readonly firstRow: number;
  readonly matrix: { readonly type: number; readonly rows: number; readonly cols: number };
}

/** One of a layer's two pools before it has memory: what an expert's slot holds, and which tensors that comes from. */
interface PoolLayout {
  readonly name: string;
  /** Of each matrix. */
  readonly sources: readonly ExpertTensors[];
  readonly matrices: readonly PlanarMatrix[];
  readonly biasNames: readonly string[];
  readonly biases: readonly PlanarMatrix[];
  readonly slotWords: number;
}

interface FfnLayout {
  readonly name: string;
  readonly experts: number;
  readonly gateUp: PoolLayout;
  readonly down: PoolLayout;
}

/** Gate, which lies above, or up of a tensor that has both. */
function halfOf(info: TensorInfo, name: string): ExpertTensors {
  const { rows, cols } = matrixShape(info);
  return { tensors: [info.name], firstRow: name === 'ffn_gate' ? 0 : rows / 2, matrix: { type: info.type, rows: rows / 2, cols } };
}

/** Which of a layer's FFNs a tensor belongs to, by the ending of its name: the routed experts, the shared one, a dense MLP. */
type FfnEnding = '_exps' | '_shexp' | '';

/** Entry of a slot table for an expert that is not on the GPU. */
export const ABSENT = 0xffffffff;

/**
 * Every weight's place in GPU memory. Allocates when made; bytes arrive later, shard by shard, through
 * `destinations`. Without a budget all experts have a slot, of their own number; a dense FFN is a pool of one expert, and so is a shared expert.
 */
export class ModelWeights {
  readonly #trunk = new Map<string, Destination[]>();
  readonly #stacks = new Map<string, StackedWeights>();
  readonly #vectors = new Map<string, GPUBufferBinding>();
  readonly #pooled = new Map<string, PooledTensor[]>();
  readonly #experts = new Map<number, PlacedExperts>();
  readonly #shared = new Map<number, PlacedExperts>();
  readonly #maxBinding: number;
  /** GPU bytes that the weights take. */
  readonly bytes: number;
  /** Those of the routed experts' slots. */
  readonly expertBytes: number;

  /**
   * @param maxBindingBytes upper bound for a binding, below the device's own limit
   * @param quotas slots of each MoE layer's pools, where experts are to come and go: they are empty at first
   * Throws `LimitError`, `UnsupportedSpecError`, and what `quotas` throws.
   */
  constructor(
    readonly spec: ModelSpec,
    readonly gguf: GgufModel,
    readonly memory: GpuMemory,
    maxBindingBytes = Infinity,
    quotas?: SlotQuotas,
  ) {
    const { limits } = memory.device;
    this.#maxBinding = Math.min(maxBindingBytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    for (const layer of spec.layers) this.#placeLayer(layer);
    for (const info of gguf.tensors.values()) {
      const { name } = info;
      if (!this.#trunk.has(name) && !this.#pooled.has(name) && !isExpertTensor(name)) this.#placeTensor(info);
    }
    const trunkBytes = memory.bytes;
    this.#placeRoutedExperts(quotas);
    this.bytes = memory.bytes;
    this.expertBytes = this.bytes - trunkBytes;
  }

  /** Weights over one input, e.g. `blk.3.attn_qkv`, `blk.3.attn_output.weight`. */
  stacked(name: string): StackedWeights {
    const known = this.#stacks.get(name) ?? wholeWeights(this.tensor(name));
    if (!known) throw new LimitError('maxStorageBufferBindingSize', this.tensor(name).info.byteLength, this.#maxBinding, name);
    return known;
  }

  /** A norm's weight or a bias. */
  vector(name: string): GPUBufferBinding {
    const found = this.#vectors.get(name);
    if (!found) throw new UnsupportedSpecError(this.spec.arch, `the tensor ${name}, which the file does not have`);
    return found;
  }

  hasVector(name: string): boolean {
    return this.#vectors.has(name);
  }

  /** A trunk matrix with its pieces. */
  tensor(name: string): PlacedTensor {
    const info = this.gguf.tensors.get(name);
    const pieces = this.#trunk.get(name);
    if (!info || !pieces) throw new UnsupportedSpecError(this.spec.arch, `the tensor ${name}, which the file does not have`);
    return { info, pieces };
  }

  /** The expert pools of a layer (of one expert where the layer is dense). */
  experts(layer: number): PlacedExperts {
    const found = this.#experts.get(layer);
    if (!found) throw new UnsupportedSpecError(this.spec.arch, `an FFN in layer ${layer}, which the file does not have`);
    return found;
  }

  /** What every token uses beside a layer's routed experts: pools of one expert. */
  shared(layer: number): PlacedExperts {
    const found = this.#shared.get(layer);
    if (!found) throw new UnsupportedSpecError(this.spec.arch, `an MLP beside the experts of layer ${layer}, which the file does not have`);
    return found;
  }

  /** Where a tensor's rows go; `expert` picks a slice of stacked expert tensors, `place` its slot where that is not its number. */
  destinations(tensor: string, expert?: number, place?: number): readonly Destination[] {
    const trunk = this.#trunk.get(tensor);
    if (trunk) return trunk;
    const pooled = this.#pooled.get(tensor) ?? [];
    if (pooled.length === 0) throw new UnsupportedSpecError(this.spec.arch, `the tensor ${tensor}`);
    return pooled.map(({ pool, matrix, firstRow, ...only }) => {
      const slot = place ?? only.expert ?? expert ?? 0;
      const page = pool.pages[Math.floor(slot / pool.slotsPerPage)];
      if (!page) throw new UnsupportedSpecError(this.spec.arch, `expert ${slot} of the tensor ${tensor}`);
      const slotWord = (slot % pool.slotsPerPage) * pool.slotWords;
      return { buffer: page.buffer, matrix: { ...matrix, baseWord: slotWord + matrix.baseWord }, firstRow };
    });
  }

  #placeLayer({ index, attention, ffn }: LayerSpec): void {
    const block = `blk.${index}.`;
    for (const [name, tensors] of Object.entries(mixerStacks(attention))) {
      this.#placeStack(`${block}${name}`, tensors.map((tensor) => this.#info(`${block}${tensor}.weight`)));
    }
    if (ffn.kind === 'dense') {
      this.#experts.set(index, this.#placeFfn(this.#ffnLayout(block, '', 1, ffn.activation)));
      return;
    }
    const { shared } = ffn;
    const gate = shared.kind === 'shared' && shared.gated ? [this.#info(`${block}ffn_gate_inp_shexp.weight`)] : [];
    this.#placeStack(`${block}router`, [this.#info(`${block}ffn_gate_inp.weight`), ...gate]);
    if (shared.kind !== 'none') this.#shared.set(index, this.#placeFfn(this.#ffnLayout(block, shared.kind === 'shared' ? '_shexp' : '', 1, ffn.activation)));
  }

  /** They come last: what of a budget the trunk leaves is theirs. */
  #placeRoutedExperts(quotas: SlotQuotas | undefined): void {
    const layers = this.spec.layers.flatMap(({ index, ffn }) => {
      if (ffn.kind !== 'moe') return [];
      const { experts, topK, activation } = ffn;
      const layout = this.#ffnLayout(`blk.${index}.`, '_exps', experts, activation);
      return [{ index, layout, table: this.#slotTable(layout), experts, topK, expertBytes: (layout.gateUp.slotWords + layout.down.slotWords) * 4 }];
    });
    const slotCounts = quotas?.(this.memory.bytes, layers);
    for (const [i, { index, layout, table }] of layers.entries()) this.#experts.set(index, this.#placeFfn(layout, slotCounts?.[i], table));
  }

  #ffnLayout(block: string, ending: FfnEnding, experts: number, activation: Activation): FfnLayout {
    const layout = (names: readonly string[]) => this.#poolLayout(block, names, ending, experts);
    return { name: `${block}ffn${ending}`, experts, gateUp: layout(isGated(activation) ? ['ffn_gate', 'ffn_up'] : ['ffn_up']), down: layout(['ffn_down']) };
  }

  /** @param slotCount slots that experts come and go in; without it each has one of its own */
  #placeFfn(layout: FfnLayout, slotCount?: number, slots = this.#slotTable(layout)): PlacedExperts {
    const { experts, gateUp, down } = layout;
    this.memory.device.queue.writeBuffer(slots, 0, Uint32Array.from({ length: experts }, (_, expert) => (slotCount === undefined ? expert : ABSENT)));
    const count = slotCount ?? experts;
    return { gateUp: this.#placePool(gateUp, count), down: this.#placePool(down, count), slots, slotCount: count };
  }

  #slotTable({ name, experts }: FfnLayout): GPUBuffer {
    return this.memory.storage(`${name}_slots`, experts * 4);
  }

  /** Matrices over one input, and one bias for all their outputs where any of them has one. */
  #placeStack(name: string, infos: readonly TensorInfo[]): void {
    const { matrices, words } = stack(infos.map((info) => ({ type: info.type, ...matrixShape(info) })));
    this.#checkBinding(name, words * 4);
    const buffer = this.memory.storage(name, words * 4);
    this.#stacks.set(name, { binding: { buffer }, matrices });
    for (const [position, info] of infos.entries()) {
      const matrix = matrices[position];
      if (matrix) this.#trunk.set(info.name, [{ buffer, matrix, firstRow: 0 }]);
    }
    const biases = infos.map((info) => this.gguf.tensors.get(info.name.replace(/weight$/, 'bias')));
    if (biases.some((bias) => bias !== undefined)) this.#placeVectors(`${name}.bias`, biases, matrices.map(({ rows }) => rows));
  }

  #poolLayout(block: string, names: readonly string[], ending: FfnEnding, experts: number): PoolLayout {
    const fused = names.length > 1 ? this.#fusedTensor(block, ending) : undefined;
    const parts = names.map((name) => (fused ? halfOf(fused, name) : this.#expertTensors(block, name, ending, experts)));
    const biasNames = parts.map(({ tensors }) => (tensors[0] ?? '').replace(/weight$/, 'bias'));
    const withBias = biasNames.every((bias) => this.gguf.tensors.has(bias));
    const vectors = withBias ? parts.map(({ matrix }) => ({ type: F32, rows: 1, cols: matrix.rows })) : [];
    const { matrices: placed, words: slotWords } = stack([...parts.map(({ matrix }) => matrix), ...vectors]);
    return {
      name: `${block}${names.join('_')}${ending}`,
      sources: parts,
      matrices: placed.slice(0, parts.length),
      biasNames: withBias ? biasNames : [],
      biases: placed.slice(parts.length),
      slotWords,
    };
  }

  #placePool({ name, sources, matrices, biasNames, biases, slotWords }: PoolLayout, slotCount: number): ExpertPool {
    this.#checkBinding(`${name} (one expert)`, slotWords * 4);
    const slotsPerPage = Math.min(slotCount, Math.floor(this.#maxBinding / (slotWords * 4)));
    const pages = Array.from({ length: Math.ceil(slotCount / slotsPerPage) }, (_, page) => ({
      buffer: this.memory.storage(`${name}.${page}`, Math.min(slotsPerPage, slotCount - page * slotsPerPage) * slotWords * 4),
    }));
    const pool = { pages, slotsPerPage, slotWords, matrices, ...(biases.length > 0 ? { biases } : {}) };
    for (const [position, matrix] of biases.entries()) this.#pooled.set(biasNames[position] ?? '', [{ pool, expert: undefined, matrix, firstRow: 0 }]);
    for (const [position, { tensors, firstRow }] of sources.entries()) {
      const matrix = matrices[position];
      if (!matrix) continue;
      for (const [expert, tensor] of tensors.entries()) {
        const holders = this.#pooled.get(tensor) ?? [];
        this.#pooled.set(tensor, [...holders, { pool, expert: tensors.length > 1 ? expert : undefined, matrix, firstRow }]);
      }
    }
    return pool;
  }

  /** The tensor that has gate above up, where a file stores them so. */
  #fusedTensor(block: string, ending: FfnEnding): TensorInfo | undefined {
    const { tensors } = this.gguf;
    const up = tensors.has(`${block}ffn_gate${ending}.weight`) || ending === '_exps' ? undefined : tensors.get(`${block}ffn_up${ending}.weight`);
    return tensors.get(`${block}ffn_gate_up${ending}.weight`) ?? up;
  }

  /** One expert's matrix of a kind, and the tensors that hold it: one for all experts, or old files' one for each. */
  #expertTensors(block: string, name: string, ending: FfnEnding, experts: number): ExpertTensors {
    const stacked = `${block}${name}${ending}.weight`;
    const each = Array.from({ length: experts }, (_, expert) => `${block}${name}.${expert}.weight`);
    const tensors = ending !== '_exps' || this.gguf.tensors.has(stacked) ? [stacked] : each;
    const info = this.#info(tensors[0] ?? stacked);
    if (experts > 1 && info.shape.length === 3 && info.shape[0] !== experts) {
      throw new UnsupportedSpecError(this.spec.arch, `${info.name} with ${info.shape[0]} experts instead of ${experts}`);
    }
    return { tensors, firstRow: 0, matrix: { type: info.type, ...matrixShape(info) } };
  }

  #placeTensor(info: TensorInfo): void {
    const { cols } = matrixShape(info);
    const rows = info.shape.slice(0, -1).reduce((product, size) => product * size, 1);
    if (info.shape.length === 1 || CONVOLUTION.test(info.name)) return this.#placeVectors(info.name, [info], [rows * cols]);
    // Multiples of 64 rows keep two-byte planes on whole words at every cut, and biases where a binding may begin.
    const rowBytes = planarBytes(info.type, cols * 64) / 64;
    const most = Math.floor(this.#maxBinding / rowBytes / 64) * 64;
    if (most < 1) throw new LimitError('maxStorageBufferBindingSize', rowBytes * 64, this.#maxBinding, info.name);
    const pieces: Destination[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += most) {
      const count = Math.min(most, rows - firstRow);
      const buffer = this.memory.storage(`${info.name}.${firstRow}`, planarBytes(info.type, count * cols));
      pieces.push({ buffer, firstRow, matrix: { type: info.type, rows: count, cols, baseWord: 0 } });
    }
    this.#trunk.set(info.name, pieces);
  }

  /** Vectors one after the other in one buffer, so that stacked weights have one bias; those that the file lacks stay 0. */
  #placeVectors(name: string, infos: readonly (TensorInfo | undefined)[], lengths: readonly number[]): void {
    const buffer = this.memory.storage(name, lengths.reduce((sum, length) => sum + length, 0) * 4);
    let baseWord = 0;
    for (const [position, info] of infos.entries()) {
      const cols = lengths[position] ?? 0;
      if (info && info.type !== F32) throw new UnsupportedSpecError(this.spec.arch, `${info.name} as F32 (norms and biases come in no other type)`);
      if (info) this.#trunk.set(info.name, [{ buffer, matrix: { type: F32, rows: 1, cols, baseWord }, firstRow: 0 }]);
      baseWord += cols;
    }
    this.#vectors.set(name, { buffer });
  }

  #info(name: string): TensorInfo {
    const info = this.gguf.tensors.get(name);
    if (!info) throw new UnsupportedSpecError(this.spec.arch, `the tensor ${name}, which the file does not have`);
    return info;
  }

  #checkBinding(what: string, bytes: number): void {
    if (bytes > this.#maxBinding) throw new LimitError('maxStorageBufferBindingSize', bytes, this.#maxBinding, what);
  }
}

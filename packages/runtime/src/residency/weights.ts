import type { ExpertPool, PlanarMatrix, StackedWeights } from '@gatefold/shaders';
import type { GgufModel, TensorInfo } from '../model/gguf/types.ts';
import type { LayerSpec, ModelSpec } from '../model/spec.ts';
import { LimitError, UnsupportedSpecError } from './errors.ts';
import type { GpuMemory } from './gpu-memory.ts';
import { matrixShape, planarBytes, stack, wholeWeights, type PlacedExperts, type PlacedTensor } from './placement.ts';

/** ggml's number for F32, the only type that norms and biases come in. */
const F32 = 0;

/** A planar matrix in GPU memory and which rows of its tensor (or of one expert's slice of it) it holds. */
export interface Destination {
  readonly buffer: GPUBuffer;
  readonly matrix: PlanarMatrix;
  readonly firstRow: number;
}

interface TypedShape {
  /** ggml type number. */
  readonly type: number;
  readonly rows: number;
  readonly cols: number;
}

function typedShape(info: TensorInfo): TypedShape {
  return { type: info.type, ...matrixShape(info) };
}

/** Stacked tensors of `blk.N`, in the order in which their outputs are concatenated. */
const QKV = ['attn_q', 'attn_k', 'attn_v'] as const;
const GATE_UP = ['ffn_gate', 'ffn_up'] as const;
const DOWN = ['ffn_down'] as const;

/**
 * Every weight's place in GPU memory. Allocates when made; bytes arrive later, shard by shard, through
 * `destinations`. All experts have a slot; a dense FFN is a pool of one expert.
 */
export class ModelWeights {
  readonly #trunk = new Map<string, Destination[]>();
  readonly #stacks = new Map<string, StackedWeights>();
  readonly #vectors = new Map<string, GPUBufferBinding>();
  readonly #experts = new Map<number, PlacedExperts>();
  readonly #shared = new Map<number, PlacedExperts>();
  readonly #maxBinding: number;
  /** GPU bytes that the weights take. */
  readonly bytes: number;

  /** @param maxBindingBytes upper bound for a binding, below the device's own limit */
  constructor(
    readonly spec: ModelSpec,
    readonly gguf: GgufModel,
    readonly memory: GpuMemory,
    maxBindingBytes = Infinity,
  ) {
    const { limits } = memory.device;
    this.#maxBinding = Math.min(maxBindingBytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    for (const layer of spec.layers) this.#placeLayer(layer);
    for (const info of gguf.tensors.values()) if (!this.#isPlaced(info.name)) this.#placeTensor(info);
    this.bytes = memory.bytes;
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

  /** What runs beside a layer's routed experts: pools of one expert. */
  shared(layer: number): PlacedExperts {
    const found = this.#shared.get(layer);
    if (!found) throw new UnsupportedSpecError(this.spec.arch, `an MLP beside the experts of layer ${layer}, which the file does not have`);
    return found;
  }

  /** Where a tensor's rows go; `expert` picks a slice of stacked expert tensors. */
  destinations(tensor: string, expert?: number): readonly Destination[] {
    const trunk = this.#trunk.get(tensor);
    if (trunk) return trunk;
    const match = /^blk\.(\d+)\.(ffn_\w+?)(_exps)?(?:\.(\d+))?\.weight$/.exec(tensor);
    const layer = Number(match?.[1]);
    const number = match?.[4];
    const index = expert ?? Number(number ?? 0);
    const name = match?.[2] ?? '';
    const routed = match?.[3] !== undefined || number !== undefined;
    const { gateUp, down } = (routed ? undefined : this.#shared.get(layer)) ?? this.experts(layer);
    const [pool, position] = name === 'ffn_down' ? [down, 0] : [gateUp, GATE_UP.findIndex((known) => known === name)];
    const matrix = pool.matrices[position];
    const page = pool.pages[Math.floor(index / pool.slotsPerPage)];
    if (!matrix || !page) throw new UnsupportedSpecError(this.spec.arch, `the tensor ${tensor}`);
    const slotWord = (index % pool.slotsPerPage) * pool.slotWords;
    return [{ buffer: page.buffer, matrix: { ...matrix, baseWord: slotWord + matrix.baseWord }, firstRow: 0 }];
  }

  #isPlaced(name: string): boolean {
    return this.#trunk.has(name) || this.#vectors.has(name) || /_exps\.|\.ffn_(gate|up|down)\.(\d+\.)?weight$/.test(name);
  }

  #placeLayer({ index, ffn }: LayerSpec): void {
    const block = `blk.${index}.`;
    this.#placeStack(`${block}attn_qkv`, QKV.map((name) => this.#info(`${block}${name}.weight`)));
    const biases = QKV.map((name) => this.gguf.tensors.get(`${block}${name}.bias`));
    if (biases.every((bias) => bias !== undefined)) this.#placeVectors(`${block}attn_qkv.bias`, biases);
    const experts = ffn.kind === 'moe' ? ffn.experts : 1;
    this.#experts.set(index, this.#placeExperts(block, experts, (name) => this.#expertMatrix(block, name, experts)));
    if (ffn.kind === 'moe' && ffn.shared.kind === 'residual') {
      this.#shared.set(index, this.#placeExperts(`${block}shared_`, 1, (name) => typedShape(this.#info(`${block}${name}.weight`))));
    }
  }

  /** Pools and slot table of experts that all have matrices of these shapes. */
  #placeExperts(label: string, experts: number, matrix: (name: string) => TypedShape): PlacedExperts {
    const gateUp = this.#placePool(`${label}ffn_gate_up`, GATE_UP.map(matrix), experts);
    const down = this.#placePool(`${label}ffn_down`, DOWN.map(matrix), experts);
    const slots = this.memory.storage(`${label}expert_slots`, experts * 4);
    this.memory.device.queue.writeBuffer(slots, 0, Uint32Array.from({ length: experts }, (_, expert) => expert));
    return { gateUp, down, slots };
  }

  /** One expert's matrix of a kind: stacked tensors, old files' tensor per expert, or a dense layer's own. */
  #expertMatrix(block: string, name: string, experts: number): TypedShape {
    const info =
      this.gguf.tensors.get(`${block}${name}_exps.weight`) ??
      this.gguf.tensors.get(`${block}${name}.0.weight`) ??
      this.#info(`${block}${name}.weight`);
    if (experts > 1 && info.shape.length === 3 && info.shape[0] !== experts) {
      throw new UnsupportedSpecError(this.spec.arch, `${info.name} with ${info.shape[0]} experts instead of ${experts}`);
    }
    return typedShape(info);
  }

  #placeStack(name: string, infos: readonly TensorInfo[]): void {
    const { matrices, words } = stack(infos.map(typedShape));
    this.#checkBinding(name, words * 4);
    const buffer = this.memory.storage(name, words * 4);
    this.#stacks.set(name, { binding: { buffer }, matrices });
    for (const [position, info] of infos.entries()) {
      const matrix = matrices[position];
      if (matrix) this.#trunk.set(info.name, [{ buffer, matrix, firstRow: 0 }]);
    }
  }

  #placePool(name: string, shapes: readonly TypedShape[], experts: number): ExpertPool {
    const { matrices, words: slotWords } = stack(shapes);
    this.#checkBinding(`${name} (one expert)`, slotWords * 4);
    const slotsPerPage = Math.min(experts, Math.floor(this.#maxBinding / (slotWords * 4)));
    const pages = Array.from({ length: Math.ceil(experts / slotsPerPage) }, (_, page) => ({
      buffer: this.memory.storage(`${name}.${page}`, Math.min(slotsPerPage, experts - page * slotsPerPage) * slotWords * 4),
    }));
    return { pages, slotsPerPage, slotWords, matrices };
  }

  #placeTensor(info: TensorInfo): void {
    if (info.shape.length === 1) return this.#placeVectors(info.name, [info]);
    const { rows, cols } = matrixShape(info);
    // Even row counts keep two-byte planes on whole words at every cut.
    const rowBytes = planarBytes(info.type, cols * 32) / 32;
    const most = Math.floor(this.#maxBinding / rowBytes / 32) * 32;
    if (most < 1) throw new LimitError('maxStorageBufferBindingSize', rowBytes * 32, this.#maxBinding, info.name);
    const pieces: Destination[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += most) {
      const count = Math.min(most, rows - firstRow);
      const buffer = this.memory.storage(`${info.name}.${firstRow}`, planarBytes(info.type, count * cols));
      pieces.push({ buffer, firstRow, matrix: { type: info.type, rows: count, cols, baseWord: 0 } });
    }
    this.#trunk.set(info.name, pieces);
  }

  /** Vectors one after the other in one buffer, so that stacked weights have one bias. */
  #placeVectors(name: string, infos: readonly TensorInfo[]): void {
    const lengths = infos.map((info) => {
      if (info.type !== F32) throw new UnsupportedSpecError(this.spec.arch, `${info.name} as F32 (norms and biases come in no other type)`);
      return info.shape.reduce((product, size) => product * size, 1);
    });
    const buffer = this.memory.storage(name, lengths.reduce((sum, length) => sum + length, 0) * 4);
    let baseWord = 0;
    for (const [position, info] of infos.entries()) {
      const cols = lengths[position] ?? 0;
      this.#trunk.set(info.name, [{ buffer, matrix: { type: F32, rows: 1, cols, baseWord }, firstRow: 0 }]);
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

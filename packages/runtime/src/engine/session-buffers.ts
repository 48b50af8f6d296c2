import type { ModelSpec, MoeSpec } from '../model/spec.ts';
import type { GpuMemory } from '../residency/gpu-memory.ts';
import { ROUTE_BYTES } from './scratch.ts';

/** u32 fields of the batch buffer: the position of the pass's first token, and its token count. */
export const BATCH_BYTES = 256;
/** id, status, log-probability, position: what the sampler writes. */
export const RESULT_BYTES = 256;

/** What one session keeps on the GPU between tokens: KV cache, position, sampling settings, penalty history. */
export class SessionBuffers {
  readonly batch: GPUBuffer;
  readonly ids: GPUBuffer;
  readonly seen: GPUBuffer;
  readonly sampling: GPUBuffer;
  /** The sampler's result, then the router's choice of each MoE layer, `ROUTE_BYTES` apart. */
  readonly result: GPUBuffer;
  readonly keys: readonly GPUBuffer[];
  readonly values: readonly GPUBuffer[];
  readonly #memory: GpuMemory;

  /** @param contextLength positions of the KV cache @param chunk longest pass in tokens */
  constructor(memory: GpuMemory, spec: ModelSpec, contextLength: number, chunk: number) {
    this.#memory = memory;
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = GPUBufferUsage;
    this.batch = memory.create('session.batch', BATCH_BYTES, STORAGE | UNIFORM | COPY_DST | COPY_SRC);
    this.sampling = memory.create('session.sampling', 64, UNIFORM | COPY_DST);
    this.ids = memory.storage('session.ids', chunk * 4);
    this.seen = memory.storage('session.seen', spec.vocabSize * 4);
    this.result = memory.storage('session.result', RESULT_BYTES + moeLayers(spec).length * ROUTE_BYTES);
    this.keys = spec.layers.map(({ index, attention: { kvHeads, headDim } }) =>
      memory.storage(`session.keys.${index}`, contextLength * kvHeads * headDim * 4),
    );
    this.values = spec.layers.map(({ index, attention: { kvHeads, valueDim } }) =>
      memory.storage(`session.values.${index}`, contextLength * kvHeads * valueDim * 4),
    );
  }

  get kvBytes(): number {
    return [...this.keys, ...this.values].reduce((sum, buffer) => sum + buffer.size, 0);
  }

  destroy(): void {
    const { batch, sampling, ids, seen, result, keys, values } = this;
    for (const buffer of [batch, sampling, ids, seen, result, ...keys, ...values]) this.#memory.destroy(buffer);
  }
}

/** The model's MoE layers in order: index within the model, and spec. */
export function moeLayers(spec: ModelSpec): readonly { readonly index: number; readonly ffn: MoeSpec }[] {
  return spec.layers.flatMap(({ index, ffn }) => (ffn.kind === 'moe' ? [{ index, ffn }] : []));
}

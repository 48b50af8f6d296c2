import type { CacheType } from '@gatefold/shaders';
import type { ModelSpec, MoeSpec } from '../model/spec.ts';
import type { GpuMemory } from '../residency/gpu-memory.ts';
import { stateBytes } from './mixers/state.ts';
import { ROUTE_BYTES } from './scratch.ts';

/** u32 fields of the batch buffer: the position of the pass's first token, and its token count. */
export const BATCH_BYTES = 256;
/** id, status, log-probability, position: what the sampler writes. */
export const RESULT_BYTES = 256;

/** What a pass says of its tokens, and where the router's choices go in decode. */
export type PassBuffers = Pick<SessionBuffers, 'batch' | 'result'>;

/** What one session keeps on the GPU between tokens: KV cache or recurrent state, position, sampling settings, penalty history. */
export class SessionBuffers {
  readonly batch: GPUBuffer;
  readonly ids: GPUBuffer;
  readonly seen: GPUBuffer;
  readonly sampling: GPUBuffer;
  /** The sampler's result, then the router's choice of each MoE layer, `ROUTE_BYTES` apart. */
  readonly result: GPUBuffer;
  /** Of each layer, what its mixer keeps. */
  readonly #states: readonly ReadonlyMap<string, GPUBufferBinding>[];
  readonly #memory: GpuMemory;

  /** @param contextLength positions of the KV cache @param chunk longest pass in tokens @param cacheType of keys and values */
  constructor(memory: GpuMemory, spec: ModelSpec, contextLength: number, chunk: number, cacheType?: CacheType) {
    this.#memory = memory;
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = GPUBufferUsage;
    this.batch = memory.create('session.batch', BATCH_BYTES, STORAGE | UNIFORM | COPY_DST | COPY_SRC);
    this.sampling = memory.create('session.sampling', 64, UNIFORM | COPY_DST | COPY_SRC);
    this.ids = memory.storage('session.ids', chunk * 4);
    this.seen = memory.storage('session.seen', spec.vocabSize * 4);
    this.result = memory.storage('session.result', RESULT_BYTES + moeLayers(spec).length * ROUTE_BYTES);
    this.#states = spec.layers.map(({ index, attention }) => {
      const bytes = stateBytes(attention, contextLength, spec.hiddenSize, cacheType);
      const joint = jointState(memory.device, bytes);
      const whole = joint && memory.storage(`session.state.${index}`, joint.bytes);
      return new Map(
        Object.entries(bytes).map(([name, size]) => {
          const offset = joint?.offsets.get(name);
          return [name, whole && offset !== undefined ? { buffer: whole, offset, size: Math.max(16, Math.ceil(size / 16) * 16) } : { buffer: memory.storage(`session.${name}.${index}`, size) }];
        }),
      );
    });
  }

  /** What a layer's mixer keeps under this name (`stateBytes`). */
  state(layer: number, name: string): GPUBufferBinding {
    const place = this.#states[layer]?.get(name);
    if (!place) throw new RangeError(`layer ${layer} keeps no ${name}`);
    return place;
  }

  get kvBytes(): number {
    return this.#stateBuffers().reduce((sum, buffer) => sum + buffer.size, 0);
  }

  destroy(): void {
    const { batch, sampling, ids, seen, result } = this;
    for (const buffer of [batch, sampling, ids, seen, result, ...this.#stateBuffers()]) this.#memory.destroy(buffer);
  }

  #stateBuffers(): readonly GPUBuffer[] {
    return [...new Set(this.#states.flatMap((state) => [...state.values()].map(({ buffer }) => buffer)))];
  }
}

/** Where a layer's state lies in one buffer, which passes of several sessions bind once for each; undefined where no binding can hold it. */
export function jointState({ limits }: GPUDevice, bytes: Readonly<Record<string, number>>): { readonly offsets: ReadonlyMap<string, number>; readonly bytes: number } | undefined {
  let end = 0;
  const offsets = new Map<string, number>();
  for (const [name, size] of Object.entries(bytes)) {
    offsets.set(name, end);
    // Where bindings may start.
    end = Math.ceil((end + Math.max(16, size)) / 256) * 256;
  }
  return end <= Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize) ? { offsets, bytes: end } : undefined;
}

/** The model's MoE layers in order: index within the model, and spec. */
export function moeLayers(spec: ModelSpec): readonly { readonly index: number; readonly ffn: MoeSpec }[] {
  return spec.layers.flatMap(({ index, ffn }) => (ffn.kind === 'moe' ? [{ index, ffn }] : []));
}

import { attentionPartialBytes, moePlanBytes, ropeTable, samplerScratchBytes, type AttentionShape, type CacheType, type Conditions, type MoePlanShape, type ShaderContext } from '@gatefold/shaders';
import type { ModelSpec, RopeSpec } from '../model/spec.ts';
import { LimitError } from '../residency/errors.ts';
import type { ModelWeights } from '../residency/weights.ts';
import type { GpuMemory } from '../residency/gpu-memory.ts';
import type { DecodeBatch } from './batch/decode-batch.ts';
import type { ExpertRunner } from './experts/paged-experts.ts';
import { Scratch } from './scratch.ts';

/** What all sessions of a loaded model share on the GPU: weights, scratch, RoPE tables, constants. */
export class PlanContext {
  /** Where sessions that generate at the same time can share passes, once there is more than one. */
  batch: DecodeBatch | undefined;
  readonly scratch: Scratch;
  /** The router's choice in a dense layer, which is a MoE of one expert: expert 0 for each token … */
  readonly denseIds: GPUBuffer;
  /** … with weight 1. As many as a pass has assignments to experts. */
  readonly ones: GPUBuffer;
  readonly samplerScratch: GPUBuffer;
  readonly #shared = new Map<string, GPUBuffer>();
  readonly #moePlans = new Map<number, GPUBuffer>();
  readonly #ropeTables = new Map<string, GPUBuffer>();

  /**
   * @param chunk longest pass in tokens @param contextLength positions of each session's KV cache
   * @param ropeFactors that divide RoPE's frequencies, where the file has some
   */
  constructor(
    readonly shaders: ShaderContext,
    readonly memory: GpuMemory,
    readonly spec: ModelSpec,
    readonly weights: ModelWeights,
    readonly contextLength: number,
    readonly chunk: number,
    readonly ropeFactors?: Float32Array<ArrayBuffer>,
    /** Undefined where all experts are resident. */
    public paged?: ExpertRunner,
  ) {
    this.scratch = new Scratch(memory, spec, chunk);
    this.samplerScratch = memory.storage('scratch.sampler', samplerScratchBytes(spec.vocabSize));
    this.denseIds = memory.storage('constant.zero_ids', chunk * 4);
    const assignments = this.scratch.expertWeights.size / 4;
    this.ones = memory.storage('constant.ones', assignments * 4);
    memory.device.queue.writeBuffer(this.ones, 0, new Float32Array(assignments).fill(1));
  }

  /** Of keys and values: half as long to read as f16, where prompts round to it as well. */
  get cacheType(): CacheType {
    return cacheType(this.shaders.features);
  }

  /**
   * A mixer's activations: [chunk, width] f32. Layers share those of one name and width, since they run one after the other.
   * Throws `LimitError` for more than a kernel can bind.
   */
  activations(name: string, width: number): GPUBuffer {
    const bytes = this.chunk * width * 4;
    const available = this.memory.device.limits.maxStorageBufferBindingSize;
    if (bytes > available) {
      const most = Math.floor(available / (width * 4));
      throw new LimitError('maxStorageBufferBindingSize', bytes, available, `A pass of ${this.chunk} tokens (prefillChunk: at most ${most} here)`);
    }
    return this.sharedStorage(name, bytes);
  }

  /** Partial results of split attention at full context. */
  attentionPartial(shape: AttentionShape): GPUBuffer {
    return this.sharedStorage('attention_partial', attentionPartialBytes({ ...shape, maxContext: this.contextLength }));
  }

  /** Scratch that layers of one size share, since they run one after the other. */
  sharedStorage(name: string, bytes: number): GPUBuffer {
    const key = `${name} of ${bytes} bytes`;
    const buffer = this.#shared.get(key) ?? this.memory.storage(`scratch.${name}`, bytes);
    this.#shared.set(key, buffer);
    return buffer;
  }

  /** Tables of a prefill pass's MoE layers; layers of one size share them, since they run one after the other. */
  moePlanBuffer(shape: MoePlanShape): GPUBuffer {
    const bytes = moePlanBytes(shape);
    let buffer = this.#moePlans.get(bytes);
    if (!buffer) {
      const { STORAGE, INDIRECT } = GPUBufferUsage;
      buffer = this.memory.create('scratch.moe_plan', bytes, STORAGE | INDIRECT);
      this.#moePlans.set(bytes, buffer);
    }
    return buffer;
  }

  /** (cos, sin) of every position and rotated pair. */
  ropeTable(rope: RopeSpec): GPUBuffer {
    const key = JSON.stringify(rope);
    let buffer = this.#ropeTables.get(key);
    if (!buffer) {
      const { dims, base, frequencyScale, yarn } = rope;
      const factors = rope.frequencyFactors ? this.ropeFactors : undefined;
      const table = ropeTable({
        dims,
        base,
        frequencyScale,
        yarn,
        contextLength: this.contextLength,
        ...(factors ? { frequencyFactors: factors } : {}),
      });
      buffer = this.memory.storage('constant.rope', table.byteLength);
      this.memory.device.queue.writeBuffer(buffer, 0, table);
      this.#ropeTables.set(key, buffer);
    }
    return buffer;
  }
}

/** @param features the kernels' variants */
export function cacheType(features: Conditions): CacheType {
  return features['KV_F16'] ? 'f16' : 'f32';
}

import { featureConditions, ShaderContext, type Conditions } from '@gatefold/shaders';
import type { EvalOptions, EvalTensors, ExpertName, ExpertPlace, LoadOptions, MemoryUse } from '../api/types.ts';
import type { GgufModel } from '../model/gguf/types.ts';
import type { ModelSpec } from '../model/spec.ts';
import { GpuMemory } from '../residency/gpu-memory.ts';
import { Uploader } from '../residency/uploader.ts';
import { uploadJobs } from '../residency/upload-jobs.ts';
import { ModelWeights } from '../residency/weights.ts';
import type { Shard, ShardReader } from '../shards/shard.ts';
import { checkContext } from './check-context.ts';
import { checkSpec } from './check-spec.ts';
import type { GpuDevice } from './device.ts';
import { DeviceLostError, DisposedError, OutOfGpuMemoryError } from './errors.ts';
import type { PagedExperts } from './experts/paged-experts.ts';
import { forwardPlan } from './forward.ts';
import { cacheType, PlanContext } from './plan-context.ts';
import { Session } from './session.ts';
import { moeLayers, SessionBuffers } from './session-buffers.ts';

/** Positions of a session's KV cache where the caller names none: enough for a chat, little enough for any GPU. */
const DEFAULT_CONTEXT = 4096;
const DEFAULT_CHUNK = 512;

/** A model on one device: weights in their places, and the sessions that run on them. Knows nothing of text. */
export class LoadedModel {
  readonly #sessions = new Set<Session>();
  readonly #uploader: Uploader;
  readonly contextLength: number;
  #context: PlanContext | undefined;
  /** Sessions so far. */
  #created = 0;
  #paged: PagedExperts | undefined;
  #lost: DeviceLostError | undefined;
  #disposed = false;

  private constructor(
    readonly spec: ModelSpec,
    readonly memory: GpuMemory,
    readonly weights: ModelWeights,
    readonly shaders: ShaderContext,
    readonly options: LoadOptions,
  ) {
    this.contextLength = contextLengthOf(spec, options);
    this.#uploader = new Uploader(memory.device, shaders);
    void memory.device.lost.then(({ reason, message }) => {
      if (!this.#disposed) this.#lost = new DeviceLostError(message || reason);
    });
  }

  /**
   * Makes room for all weights; `upload` then fills it.
   * @param shaders where several models share a device: what is compiled on it, in place of kernels by the options
   * Throws `LimitError`, `OutOfGpuMemoryError`, `UnsupportedSpecError`.
   */
  static async allocate(gpu: Pick<GpuDevice, 'device' | 'adapterInfo'>, spec: ModelSpec, gguf: GgufModel, options: LoadOptions, shaders?: ShaderContext): Promise<LoadedModel> {
    const { device } = gpu;
    checkSpec(spec);
    const variants = kernelVariants(gpu, options);
    checkContext(spec, contextLengthOf(spec, options), device.limits, options.maxBindingBytes, cacheType(variants));
    // Few models have a budget: the code for it is loaded when one has.
    const quotas = options.gpuBudget === undefined ? undefined : (await import('./experts/on-demand.ts')).quotasOf(options);
    const memory = new GpuMemory(device);
    device.pushErrorScope('out-of-memory');
    let weights: ModelWeights;
    try {
      weights = new ModelWeights(spec, gguf, memory, options.maxBindingBytes, quotas);
    } catch (error) {
      memory.destroyAll();
      void device.popErrorScope();
      throw error;
    }
    const failure = await device.popErrorScope();
    if (failure) {
      const { bytes } = memory;
      memory.destroyAll();
      throw new OutOfGpuMemoryError(bytes, failure.message);
    }
    return new LoadedModel(spec, memory, weights, shaders ?? new ShaderContext(device, variants), options);
  }

  /** Whether experts come to the GPU when they are asked for, as many at a time as a budget allows. */
  get isPaged(): boolean {
    return this.options.gpuBudget !== undefined && moeLayers(this.spec).length > 0;
  }

  /** Puts a verified shard's bytes into its place. @param slot of an expert, where the model is paged */
  async upload(shard: Shard, bytes: Uint8Array<ArrayBuffer>, slot?: number): Promise<void> {
    this.#check();
    await this.#uploader.upload(bytes, uploadJobs(this.weights, shard, slot));
  }

  /** Whether an expert is not on the GPU, but a slot is free for it. */
  hasRoomFor(shard: Shard): boolean {
    return this.#paged?.residency.hasRoomFor(shard) ?? false;
  }

  /** Puts an expert into a free slot, where there is one. */
  async fill(shard: Shard, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const paged = this.#paged;
    if (paged && this.hasRoomFor(shard)) await paged.turns.run(() => paged.residency.fill(shard, bytes));
  }

  /** Keeps experts on the GPU, in place of those that were to be kept before. */
  async pinExperts(experts: readonly ExpertName[]): Promise<void> {
    const paged = this.#paged;
    await paged?.turns.run(() => paged.residency.pin(experts));
  }

  /** Where the experts of each MoE layer are. */
  expertPlaces(): ExpertPlace[][] {
    const paged = this.#paged;
    return moeLayers(this.spec).map(({ index, ffn }) => paged?.residency.places(index).slice(0, ffn.experts) ?? Array.from({ length: ffn.experts }, () => 'gpu'));
  }

  /**
   * Call before the first session, which needs no weights yet: it compiles while they come.
   * @param reader brings experts later, where the model is paged
   */
  async prepare(reader: ShardReader, options: { signal?: AbortSignal } = {}): Promise<void> {
    const chunk = Math.min(this.options.prefillChunk ?? DEFAULT_CHUNK, this.contextLength);
    this.#paged = this.isPaged ? await this.#page(reader, chunk) : undefined;
    const ropeFactors = await readFloats(reader, ropeFactorsTensor(this.spec, this.contextLength), options);
    this.#context = new PlanContext(this.shaders, this.memory, this.spec, this.weights, this.contextLength, chunk, ropeFactors, this.#paged);
  }

  /** Call once all shards are up; where the model is paged, all of the trunk. Resolves when the GPU has taken them. */
  async ready(): Promise<void> {
    if (!this.isPaged) this.#uploader.dispose();
    await this.memory.device.queue.onSubmittedWorkDone();
  }

  /** What all sessions run on, for who runs experts elsewhere. Throws `DisposedError` before the model is ready. */
  get context(): PlanContext {
    if (!this.#context) throw new DisposedError('model');
    return this.#context;
  }

  /** What brings experts; where all came at once, they are in their slots. */
  async paging(reader: ShardReader): Promise<PagedExperts> {
    if (this.#paged) return this.#paged;
    const paged = await this.#page(reader, this.context.chunk);
    paged.residency.adoptAll();
    return (this.#paged = paged);
  }

  /** Throws `OutOfGpuMemoryError` where the KV cache does not fit. */
  async createSession(): Promise<Session> {
    this.#check();
    const { context } = this;
    const { device } = this.memory;
    device.pushErrorScope('out-of-memory');
    const buffers = new SessionBuffers(this.memory, this.spec, this.contextLength, context.chunk, context.cacheType);
    const failure = await device.popErrorScope();
    if (failure) {
      const { kvBytes } = buffers;
      buffers.destroy();
      throw new OutOfGpuMemoryError(kvBytes, failure.message);
    }
    if (this.#created++ > 0) context.batch ??= (await import('./batch/decode-batch.ts')).DecodeBatch.of(context);
    const session = new Session(context, buffers, await forwardPlan(context, buffers));
    this.#sessions.add(session);
    if (this.#disposed) this.disposeSession(session);
    return session;
  }

  disposeSession(session: Session): void {
    session.dispose();
    this.#sessions.delete(session);
  }

  async evaluate(ids: readonly number[], options?: EvalOptions): Promise<EvalTensors> {
    const session = await this.createSession();
    try {
      session.checkPrompt(ids);
      const { evaluate } = await import('./evaluate.ts');
      return await evaluate(session.context, session, ids, options);
    } finally {
      this.disposeSession(session);
    }
  }

  memoryUse(): MemoryUse {
    const sessions = [...this.#sessions];
    const ringBytes = sessions.reduce((sum, session) => sum + session.ringBytes, 0);
    return {
      gpuBytes: this.memory.bytes + this.#uploader.bytes + ringBytes + (this.#paged?.bytes ?? 0) + (this.#context?.batch?.ringBytes ?? 0),
      gpuBuffers: this.memory.buffers,
      weightBytes: this.weights.bytes,
      expertBytes: this.weights.expertBytes,
      hostBytes: this.#paged?.residency.host.bytes ?? 0,
      kvBytes: sessions.reduce((sum, session) => sum + session.buffers.kvBytes, 0),
    };
  }

  /** Frees every GPU buffer. Sessions end with `DisposedError`. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const session of this.#sessions) session.dispose();
    this.#sessions.clear();
    this.#uploader.dispose();
    this.#context?.batch?.dispose();
    this.#paged?.dispose();
    this.memory.destroyAll();
  }

  async #page(reader: ShardReader, chunk: number): Promise<PagedExperts> {
    const { openPagedExperts } = await import('./experts/on-demand.ts');
    const place = (shard: Shard, bytes: Uint8Array<ArrayBuffer>, slot: number) => this.upload(shard, bytes, slot);
    return openPagedExperts({ weights: this.weights, reader, chunk, hostBudget: this.options.hostBudget, place });
  }

  #check(): void {
    if (this.#disposed) throw new DisposedError('model');
    if (this.#lost) throw this.#lost;
  }
}

function contextLengthOf(spec: ModelSpec, { contextLength = DEFAULT_CONTEXT }: LoadOptions): number {
  return Math.min(contextLength, spec.contextLength);
}

/** The faster kernels that this device has and the options allow. */
function kernelVariants({ device, adapterInfo }: Pick<GpuDevice, 'device' | 'adapterInfo'>, { bareKernels = false, precision = 'f16' }: LoadOptions): Conditions {
  if (bareKernels) return {};
  const variants = featureConditions(device, adapterInfo);
  return precision === 'f32' ? { ...variants, SUBGROUP_MATRIX: false } : { ...variants, KV_F16: variants['SUBGROUP_MATRIX'] === true };
}

/** The tensor that divides RoPE's frequencies, if one does. */
function ropeFactorsTensor(spec: ModelSpec, contextLength: number): string | undefined {
  const rope = spec.layers.map(({ attention }) => ('rope' in attention ? attention.rope : null)).find((found) => found?.frequencyFactors);
  if (!rope?.long) return rope ? 'rope_freqs.weight' : undefined;
  return contextLength > rope.long.originalContext ? 'rope_factors_long.weight' : 'rope_factors_short.weight';
}

/** A tensor of floats that is a shard of its own; undefined where the plan has none of that name. */
async function readFloats(reader: ShardReader, tensor: string | undefined, options: { signal?: AbortSignal }): Promise<Float32Array<ArrayBuffer> | undefined> {
  const shard = tensor === undefined ? undefined : reader.plan.shards.find(({ ranges }) => ranges[0]?.tensor === tensor);
  return shard && new Float32Array((await reader.read(shard, options)).slice().buffer);
}

import { moePlanBytes, ShaderContext, type Step } from '@gatefold/shaders';
import type { ExpertWork } from '../../mesh/expert-work.ts';
import type { MoeSpec } from '../../model/spec.ts';
import type { ExpertResidency } from '../../residency/expert-residency.ts';
import type { GpuMemory } from '../../residency/gpu-memory.ts';
import { ABSENT } from '../../residency/weights.ts';
import { encodePass } from '../encode-pass.ts';
import { expertSteps, type ExpertPlan, type Mode } from '../expert-steps.ts';
import { Mutex } from '../mutex.ts';
import type { PlanContext } from '../plan-context.ts';
import { readNow } from '../hasten.ts';
import { widestLayer } from '../scratch.ts';
import { BATCH_BYTES, moeLayers } from '../session-buffers.ts';

/** Tokens of a run, at most. */
const MOST_TOKENS = 64;

/** A layer's steps over this scratch. */
interface LayerSteps {
  readonly first: readonly Step[];
  readonly second: readonly Step[];
}

/** One run: some tokens' experts, padded to the layer's top-k with an expert that is not there. */
interface Slice {
  readonly tokens: number;
  readonly ids: Uint32Array<ArrayBuffer>;
  readonly weights: Float32Array<ArrayBuffer>;
  readonly x: Float32Array<ArrayBuffer>;
  /** Each once. */
  readonly experts: readonly number[];
}

/**
 * Computes experts outside a forward pass, on scratch of its own: what peers ask for, what a peer owes us, what is to be
 * checked. Experts are made resident as in a pass; a slot table of its own says where they are, so that a pass that
 * shows some of the experts only is not disturbed.
 */
export class ExpertCompute {
  readonly #turns = new Mutex();
  readonly #chunk: number;
  readonly #plan: ExpertPlan;
  readonly #moe: ReadonlyMap<number, MoeSpec>;
  readonly #steps = new Map<string, Promise<LayerSteps>>();
  /** Tables of runs over many tokens, by their bytes. */
  readonly #tables = new Map<number, GPUBuffer>();
  readonly #buffers: Readonly<Record<'x' | 'ids' | 'weights' | 'ones' | 'hidden' | 'expertOut' | 'out' | 'batch' | 'slots', GPUBuffer>>;
  readonly #staging: GPUBuffer;

  /** @param lock held while experts are brought and until a run that uses them is submitted: others bring experts, too */
  constructor(
    readonly context: PlanContext,
    readonly memory: GpuMemory,
    readonly residency: ExpertResidency,
    readonly lock: Mutex,
  ) {
    const { spec, shaders } = context;
    const { topK, hidden } = widestLayer(spec);
    this.#moe = new Map(moeLayers(spec).map(({ index, ffn }) => [index, ffn]));
    const chunk = Math.min(context.chunk, MOST_TOKENS);
    this.#chunk = chunk;
    const rows = (label: string, width: number) => memory.storage(`mesh.${label}`, chunk * width * 4);
    const experts = Math.max(...Array.from(this.#moe.values(), (ffn) => ffn.experts));
    this.#buffers = {
      x: rows('x', spec.hiddenSize),
      ids: rows('ids', topK),
      weights: rows('weights', topK),
      ones: rows('ones', topK),
      hidden: rows('hidden', hidden),
      expertOut: rows('expert_out', topK * spec.hiddenSize),
      out: rows('out', spec.hiddenSize),
      batch: memory.create('mesh.batch', BATCH_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST),
      slots: memory.storage('mesh.slots', (experts + 1) * 4),
    };
    this.#queue.writeBuffer(this.#buffers.ones, 0, new Float32Array(chunk * topK).fill(1));
    this.#staging = memory.create('mesh.sums', this.#buffers.out.size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    // In f32 whoever asks: results of several peers, and of home, can then be compared, and those of a batch are those of its tokens.
    const exact = shaders.features['SUBGROUP_MATRIX'] ? new ShaderContext(memory.device, { ...shaders.features, SUBGROUP_MATRIX: false }) : shaders;
    this.#plan = { shaders: exact, spec, chunk, scratch: { expertOut: this.#buffers.expertOut }, moePlanBuffer: (shape) => this.#tablesOf(moePlanBytes(shape)) };
  }

  /** Routed experts of a layer; undefined where it has none. */
  moe(layer: number): MoeSpec | undefined {
    return this.#moe.get(layer);
  }

  /** Compiles what is not compiled yet: a peer does not wait for that. */
  async prepare(): Promise<void> {
    await Promise.all([...this.#moe].flatMap(([layer, ffn]) => [this.#stepsOf(layer, ffn, 'decode'), this.#stepsOf(layer, ffn, 'prefill')]));
  }

  /**
   * Of each work the weighted sums, [tokens, d]; all of one layer, run together. Throws as `ExpertResidency.admit`, and
   * `RangeError` for a layer without experts.
   */
  async run(works: readonly ExpertWork[]): Promise<Float32Array<ArrayBuffer>[]> {
    const { layer = -1 } = works[0] ?? {};
    const ffn = this.#moe.get(layer);
    if (!ffn) throw new RangeError(`layer ${layer} has no routed experts`);
    const width = this.context.spec.hiddenSize;
    const results = works.map(({ tokens }) => new Float32Array(tokens * width));
    const sums = new Float32Array(works.reduce((sum, { tokens }) => sum + tokens, 0) * width);
    let done = 0;
    for (const slice of slicesOf(works, ffn, this.#chunk)) {
      sums.set(await this.#turns.run(() => this.#runSlice(layer, ffn, slice)), done);
      done += slice.tokens * width;
    }
    let at = 0;
    for (const result of results) {
      result.set(sums.subarray(at, at + result.length));
      at += result.length;
    }
    return results;
  }

  /** Resolves when what has been asked for so far is done. */
  idle(): Promise<void> {
    return this.#turns.run(async () => {});
  }

  #tablesOf(bytes: number): GPUBuffer {
    const buffer = this.#tables.get(bytes) ?? this.memory.create('mesh.tables', bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.INDIRECT);
    this.#tables.set(bytes, buffer);
    return buffer;
  }

  get #queue(): GPUQueue {
    return this.memory.device.queue;
  }

  async #runSlice(layer: number, ffn: MoeSpec, { tokens, ids, weights, x, experts }: Slice): Promise<Float32Array<ArrayBuffer>> {
    const buffers = this.#buffers;
    const { device } = this.memory;
    const room = this.residency.room(layer);
    const mode: Mode = tokens === 1 && experts.length <= room ? 'decode' : 'prefill';
    const { first, second } = await this.#stepsOf(layer, ffn, mode);
    const size = { tokens, context: tokens };
    this.#queue.writeBuffer(buffers.batch, 0, Uint32Array.of(0, tokens));
    this.#queue.writeBuffer(buffers.ids, 0, ids);
    this.#queue.writeBuffer(buffers.weights, 0, weights);
    this.#queue.writeBuffer(buffers.x, 0, x);
    this.residency.use(layer, experts);
    let encoder = device.createCommandEncoder();
    // Rows of experts that are not there stay as they are.
    encoder.clearBuffer(buffers.expertOut);
    for (let at = 0; at < experts.length; at += room) {
      const round = experts.slice(at, at + room);
      const isLast = at + room >= experts.length;
      await this.lock.run(async () => {
        await this.residency.admit(layer, round);
        this.#queue.writeBuffer(buffers.slots, 0, this.#table(layer, ffn, round));
        encodePass(encoder, isLast ? [...first, ...second] : [...first, ...second.slice(0, 1)], size);
        if (isLast) encoder.copyBufferToBuffer(buffers.out, 0, this.#staging, 0, x.byteLength);
        this.#queue.submit([encoder.finish()]);
        encoder = device.createCommandEncoder();
      });
    }
    return new Float32Array(await readNow(device, this.#staging, x.byteLength));
  }

  /** Where the experts of a round are; the entry after the last expert is nobody's. */
  #table(layer: number, { experts }: MoeSpec, round: readonly number[]): Uint32Array<ArrayBuffer> {
    const table = new Uint32Array(experts + 1).fill(ABSENT);
    for (const expert of round) table[expert] = this.residency.slotOf(layer, expert) ?? ABSENT;
    return table;
  }

  #stepsOf(layer: number, ffn: MoeSpec, mode: Mode): Promise<LayerSteps> {
    const key = `${layer}.${mode}`;
    const steps = this.#steps.get(key) ?? this.#makeSteps(layer, ffn, mode);
    this.#steps.set(key, steps);
    return steps;
  }

  async #makeSteps(layer: number, ffn: MoeSpec, mode: Mode): Promise<LayerSteps> {
    const { x, ids, weights, ones, hidden, out, slots } = this.#buffers;
    const { activation, topK, experts, router } = ffn;
    const onInput = router.weightOn === 'input';
    const group = {
      label: `mesh.${layer}.expert`,
      placed: { ...this.context.weights.experts(layer), slots },
      experts: experts + 1,
      topK,
      activation,
      route: { ids: { buffer: ids }, weights: { buffer: onInput ? ones : weights } },
      x,
      hidden: { buffer: hidden },
      ...(onInput ? { inputWeights: { buffer: weights } } : {}),
      out,
      residual: false,
      scale: 1,
    };
    const [first, second] = expertSteps(this.#plan, { batch: this.#buffers.batch }, group, mode);
    return { first: (await Promise.all(first)).flat(), second: (await Promise.all(second)).flat() };
  }
}

/** Cuts works into runs of at most `chunk` tokens, in order. */
function* slicesOf(works: readonly ExpertWork[], { topK, experts }: MoeSpec, chunk: number): Generator<Slice> {
  const total = works.reduce((sum, { tokens }) => sum + tokens, 0);
  const width = (works[0]?.x.length ?? 0) / (works[0]?.tokens ?? 1);
  const rows = rowsOf(works, width);
  for (let start = 0; start < total; start += chunk) {
    const tokens = Math.min(chunk, total - start);
    const ids = new Uint32Array(tokens * topK).fill(experts);
    const weights = new Float32Array(tokens * topK);
    const x = new Float32Array(tokens * width);
    for (let token = 0; token < tokens; token++) {
      const { value } = rows.next();
      if (!value) break;
      ids.set(value.experts, token * topK);
      weights.set(value.weights, token * topK);
      x.set(value.x, token * width);
    }
    const chosen = [...new Set(ids)].filter((expert) => expert < experts).sort((a, b) => a - b);
    yield { tokens, ids, weights, x, experts: chosen };
  }
}

function* rowsOf(works: readonly ExpertWork[], width: number): Generator<{ readonly experts: Uint16Array; readonly weights: Float32Array; readonly x: Float32Array }, undefined> {
  for (const { counts, experts, weights, x } of works) {
    let at = 0;
    for (const [token, count] of counts.entries()) {
      yield { experts: experts.subarray(at, at + count), weights: weights.subarray(at, at + count), x: x.subarray(token * width, (token + 1) * width) };
      at += count;
    }
  }
  return undefined;
}

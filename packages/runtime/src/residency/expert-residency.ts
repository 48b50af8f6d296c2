import type { ExpertName, ExpertPlace } from '../api/types.ts';
import { SourceError } from '../shards/errors.ts';
import type { Shard } from '../shards/shard.ts';
import type { HostTier } from './host-tier.ts';
import { LayerSlots } from './layer-slots.ts';
import { ExpertsUnavailableError, PinError } from './paging-errors.ts';
import { ABSENT, type ModelWeights } from './weights.ts';

/** Repacks an expert's bytes into a slot of its layer. */
export type PlaceExpert = (shard: Shard, bytes: Uint8Array<ArrayBuffer>, slot: number) => Promise<void>;

export interface AdmitOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Which experts are on the GPU, for a model with fewer slots than experts: brings those that are asked for, and keeps the
 * slot tables that the kernels read. Each change of a table makes a new version: a pass that was submitted under version
 * v had the experts that `isResident(…, v)` tells of, if they are resident still. One caller at a time may `admit`.
 */
export class ExpertResidency {
  readonly #layers = new Map<number, LayerSlots>();
  readonly #shards = new Map<string, Shard>();
  #version = 0;
  /** Experts that were brought to the GPU, and their bytes. */
  loads = 0;
  bytesLoaded = 0;

  constructor(
    readonly weights: ModelWeights,
    readonly host: HostTier,
    readonly place: PlaceExpert,
  ) {
    for (const shard of host.plan.shards) if (shard.kind === 'expert') this.#shards.set(`${shard.layer}.${shard.expert}`, shard);
    for (const { index, ffn } of weights.spec.layers) if (ffn.kind === 'moe') this.#layers.set(index, new LayerSlots(weights.experts(index).slotCount));
  }

  /** Of the slot tables, as they are now. */
  get version(): number {
    return this.#version;
  }

  /** Experts of a layer that can be resident at the same time, whichever they are. */
  room(layer: number): number {
    return this.#slots(layer).room;
  }

  /** Experts of a layer that are there. */
  resident(layer: number): readonly number[] {
    return this.#slots(layer).resident;
  }

  /** Whether an expert is on this device: on the GPU, in host memory or on disk. */
  isNear(layer: number, expert: number): boolean {
    return this.#slots(layer).isResident(expert) || this.host.isStored(this.#shard(layer, expert));
  }

  /** Those of `experts` that a pass under this version of the tables did not have; as of now, where none is given. */
  missing(layer: number, experts: readonly number[], version?: number): number[] {
    const slots = this.#slots(layer);
    return experts.filter((expert) => !slots.isResident(expert, version));
  }

  /** The slot that an expert is in, while it is resident. */
  slotOf(layer: number, expert: number): number | undefined {
    return this.#slots(layer).slotOf(expert);
  }

  /** Tells the policy what a step of the layer used. */
  use(layer: number, experts: readonly number[]): void {
    this.#slots(layer).policy.use(experts);
  }

  /**
   * Makes these experts of a layer resident, all at the same time: no more than it has slots. Others may leave.
   * Throws `ExpertsUnavailableError`, what the host tier's reader throws, and the signal's reason; what came until then stays.
   */
  async admit(layer: number, experts: readonly number[], { signal }: AdmitOptions = {}): Promise<void> {
    const slots = this.#slots(layer);
    const missing = this.missing(layer, experts);
    if (missing.length === 0) return;
    const keep = new Set(experts);
    const bring = async (shard: Shard, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
      const { slot } = slots.take(keep);
      try {
        await this.place(shard, bytes, slot);
      } catch (error) {
        slots.giveBack(slot);
        throw error;
      }
      slots.put(shard.expert ?? 0, slot);
      this.loads++;
      this.bytesLoaded += bytes.length;
    };
    try {
      await this.host.readAll(missing.map((expert) => this.#shard(layer, expert)), bring, signal ? { signal } : {});
    } catch (error) {
      throw error instanceof SourceError && error.code === 'source-network' ? this.#unavailable(layer, missing, error) : error;
    } finally {
      this.publish(layer);
    }
  }

  /** Takes each expert to be in the slot of its own number, as where all are loaded at once. */
  adoptAll(): void {
    for (const [layer, slots] of this.#layers) {
      for (let expert = 0; expert < slots.slotCount; expert++) slots.put(expert, slots.take(new Set()).slot);
      this.publish(layer);
    }
  }

  /** Whether an expert is elsewhere and would find a free slot. */
  hasRoomFor({ layer = -1, expert = -1 }: Shard): boolean {
    const slots = this.#layers.get(layer);
    return slots !== undefined && slots.free > 0 && !slots.isResident(expert);
  }

  /** Puts an expert into a free slot, where there is one. */
  async fill(shard: Shard, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { layer = -1, expert = -1 } = shard;
    if (!this.hasRoomFor(shard)) return;
    const slots = this.#slots(layer);
    const { slot } = slots.take(new Set());
    await this.place(shard, bytes, slot);
    slots.put(expert, slot);
    this.publish(layer);
  }

  /** Where each expert of a layer is. */
  places(layer: number): ExpertPlace[] {
    const slots = this.#slots(layer);
    const count = this.weights.experts(layer).slots.size / 4;
    return Array.from({ length: count }, (_, expert) => {
      const shard = this.#shards.get(`${layer}.${expert}`);
      if (slots.isResident(expert)) return 'gpu';
      if (shard && this.host.has(shard)) return 'host';
      return shard && this.host.isStored(shard) ? 'disk' : 'network';
    });
  }

  /**
   * Brings these experts and keeps them until the next call. Throws `PinError`, before anything is brought, where a layer
   * would have too few slots left for a token; and as `admit`.
   */
  async pin(experts: readonly ExpertName[], options: AdmitOptions = {}): Promise<void> {
    const layers = this.weights.spec.layers.flatMap(({ index, ffn }) => {
      if (ffn.kind !== 'moe') return [];
      const pinned = new Set(experts.flatMap(({ layer, expert }) => (layer === index ? [expert] : [])));
      const most = this.#slots(index).slotCount - ffn.topK;
      // Where all experts have a slot, none ever has to leave.
      if (pinned.size > most && most + ffn.topK < ffn.experts) throw new PinError(index, pinned.size, most);
      for (const expert of pinned) this.#shard(index, expert);
      return [{ index, pinned, keeps: most + ffn.topK < ffn.experts }];
    });
    for (const { index, pinned, keeps } of layers) {
      const slots = this.#slots(index);
      slots.pinned = new Set();
      await this.admit(index, [...pinned], options);
      if (keeps) slots.pinned = pinned;
    }
  }

  /** Writes a layer's slot table. @param only show no others than these, for a round of a pass */
  publish(layer: number, only?: ReadonlySet<number>): void {
    const slots = this.#slots(layer);
    const { slots: buffer } = this.weights.experts(layer);
    const table = new Uint32Array(buffer.size / 4).fill(ABSENT);
    for (const expert of slots.resident) if (!only || only.has(expert)) table[expert] = slots.slotOf(expert) ?? ABSENT;
    this.weights.memory.device.queue.writeBuffer(buffer, 0, table);
    slots.publish(++this.#version);
  }

  #slots(layer: number): LayerSlots {
    const slots = this.#layers.get(layer);
    if (!slots) throw new RangeError(`layer ${layer} has no routed experts`);
    return slots;
  }

  #shard(layer: number, expert: number): Shard {
    const shard = this.#shards.get(`${layer}.${expert}`);
    if (!shard) throw new RangeError(`layer ${layer} has no expert ${expert}`);
    return shard;
  }

  #unavailable(layer: number, experts: readonly number[], cause: SourceError): ExpertsUnavailableError {
    const elsewhere = [...this.#shards.values()].filter((shard) => !this.host.isStored(shard) && this.missing(shard.layer ?? 0, [shard.expert ?? 0]).length > 0);
    return new ExpertsUnavailableError(elsewhere.length, this.#shards.size, layer, experts, cause);
  }
}

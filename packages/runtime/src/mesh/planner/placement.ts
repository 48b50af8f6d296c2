import type { MeshModel, MeshRoom } from './room.ts';
import { peerAt } from './travel.ts';

/** Who holds which experts while a plan is being made, and what room is left. */
export class Placement {
  readonly #holders: Set<number>[][];
  readonly #free: number[];

  constructor(
    readonly model: MeshModel,
    readonly room: MeshRoom,
  ) {
    this.#holders = model.moeLayers.map(({ experts }) => Array.from({ length: experts }, () => new Set<number>()));
    this.#free = room.peers.map(({ memoryBytes }) => memoryBytes);
  }

  /** [MoE layer][expert]: numbers of the peers that hold it. */
  get holders(): readonly (readonly (readonly number[])[])[] {
    return this.#holders.map((experts) => experts.map((peers) => [...peers]));
  }

  of(layer: number, expert: number): ReadonlySet<number> {
    const peers = this.#holders[layer]?.[expert];
    if (!peers) throw new RangeError(`The model has no expert ${expert} in MoE layer ${layer}.`);
    return peers;
  }

  free(peer: number): number {
    return this.#free[peer] ?? 0;
  }

  bytes(layer: number): number {
    return this.model.moeLayers[layer]?.expertBytes ?? 0;
  }

  /** Takes it in even where the peer has no room, which `free` then shows as below zero. */
  add(layer: number, expert: number, peer: number): void {
    const peers = this.#holders[layer]?.[expert];
    if (!peers || peers.has(peer)) return;
    peerAt(this.room, peer);
    peers.add(peer);
    this.#free[peer] = this.free(peer) - this.bytes(layer);
  }

  drop(layer: number, expert: number, peer: number): void {
    if (this.#holders[layer]?.[expert]?.delete(peer)) this.#free[peer] = this.free(peer) + this.bytes(layer);
  }

  /** Every expert of the model. */
  *experts(): Generator<{ readonly layer: number; readonly expert: number }> {
    for (const [layer, { experts }] of this.model.moeLayers.entries()) for (let expert = 0; expert < experts; expert++) yield { layer, expert };
  }

  copy(): Placement {
    const copy = new Placement(this.model, this.room);
    for (const { layer, expert } of this.experts()) for (const peer of this.of(layer, expert)) copy.add(layer, expert, peer);
    return copy;
  }
}

import type { MeshModel, MeshRoom } from './room.ts';
import { peerAt } from './travel.ts';

/**
 * Slots that a peer has for a layer's experts: as in its pools, all layers have the same share of their experts.
 * @param layer number of the MoE layer
 */
export function slotsOf({ moeLayers }: MeshModel, layer: number, memoryBytes: number): number {
  const all = moeLayers.reduce((sum, { experts, expertBytes }) => sum + experts * expertBytes, 0);
  const experts = moeLayers[layer]?.experts ?? 0;
  return all > 0 ? Math.min(experts, Math.round((experts * memoryBytes) / all)) : 0;
}

/** Who holds which experts while a plan is being made, and what room is left. */
export class Placement {
  readonly #holders: Set<number>[][];
  /** [MoE layer][peer]: slots that are empty; below zero where more are held. */
  readonly #free: number[][];

  constructor(
    readonly model: MeshModel,
    readonly room: MeshRoom,
  ) {
    this.#holders = model.moeLayers.map(({ experts }) => Array.from({ length: experts }, () => new Set<number>()));
    this.#free = model.moeLayers.map((_, layer) => room.peers.map(({ memoryBytes }) => slotsOf(model, layer, memoryBytes)));
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

  free(layer: number, peer: number): number {
    return this.#free[layer]?.[peer] ?? 0;
  }

  /** Experts of the layer that the peer holds. */
  heldBy(layer: number, peer: number): number[] {
    return (this.#holders[layer] ?? []).flatMap((peers, expert) => (peers.has(peer) ? [expert] : []));
  }

  bytes(layer: number): number {
    return this.model.moeLayers[layer]?.expertBytes ?? 0;
  }

  /** Takes it in even where the peer has no slot left, which `free` then shows. */
  add(layer: number, expert: number, peer: number): void {
    const peers = this.#holders[layer]?.[expert];
    if (!peers || peers.has(peer)) return;
    peerAt(this.room, peer);
    peers.add(peer);
    this.#change(layer, peer, -1);
  }

  drop(layer: number, expert: number, peer: number): void {
    if (this.#holders[layer]?.[expert]?.delete(peer)) this.#change(layer, peer, 1);
  }

  #change(layer: number, peer: number, by: number): void {
    const row = this.#free[layer];
    if (row) row[peer] = (row[peer] ?? 0) + by;
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

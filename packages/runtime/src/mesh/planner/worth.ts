import { holderFor } from './predict.ts';
import type { Placement } from './placement.ts';
import type { ExpertTraffic, MeshModel, MeshRoom } from './room.ts';
import { nearness } from './travel.ts';
import { expertShares } from './use.ts';

/** Share of the steps in which a peer is taken to be gone just when it is needed. */
const GONE = 0.01;

/** What a peer's holding an expert is worth to the room's conversations: milliseconds a token, added up over all of them. */
export class Worth {
  readonly shares: readonly (readonly number[])[];
  /** [tab][peer] */
  readonly near: readonly (readonly number[])[];
  /** Tabs with conversations, by number; all of them, alike, where there is no conversation yet. */
  readonly tabs: readonly { readonly tab: number; readonly weight: number }[];
  readonly #traffic: ExpertTraffic;

  constructor(
    readonly model: MeshModel,
    readonly room: MeshRoom,
    traffic: ExpertTraffic,
  ) {
    this.#traffic = traffic;
    this.shares = expertShares(model, traffic);
    this.near = nearness(model, room);
    const busy = room.peers.flatMap(({ conversations }, tab) => (conversations > 0 ? [{ tab, weight: conversations }] : []));
    this.tabs = busy.length > 0 ? busy : room.peers.map((_, tab) => ({ tab, weight: 1 }));
  }

  share(layer: number, expert: number): number {
    return this.shares[layer]?.[expert] ?? 0;
  }

  /** What one row and one expert at this peer cost, over all conversations. */
  distance(peer: number): number {
    return this.tabs.reduce((sum, { tab, weight }) => sum + weight * (this.near[tab]?.[peer] ?? Infinity), 0);
  }

  /**
   * Against what the other holders would cost: time saved, and for the only other copy's sake the time that its loss would
   * cost. Infinite where nobody else holds it.
   */
  of(placement: Placement, layer: number, expert: number, peer: number): number {
    const others = [...placement.of(layer, expert)].filter((holder) => holder !== peer);
    if (others.length === 0) return Infinity;
    const share = this.share(layer, expert);
    let ms = 0;
    for (const { tab, weight } of this.tabs) {
      const near = this.near[tab] ?? [];
      const best = holderFor(tab, others, near);
      const saved = (near[best] ?? 0) - (near[peer] ?? 0);
      // What a tab holds it computes itself, even where another peer would be sooner.
      ms += weight * (tab === peer ? saved : Math.max(0, saved));
      if (others.length === 1) ms += (weight * GONE * placement.bytes(layer)) / (this.room.peers[tab]?.downBytesPerMs ?? 1);
    }
    return share * ms;
  }

  /** Of the tokens that choose the expert, those that also choose this one of the next MoE layer; 0 where nothing was counted. */
  affinity(layer: number, expert: number, next: number): number {
    const row = this.#traffic.affinity?.[layer]?.[expert];
    const uses = this.#traffic.uses[layer]?.[expert] ?? 0;
    return uses > 0 ? (row?.[next] ?? 0) / uses : 0;
  }
}

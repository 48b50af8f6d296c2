import type { MeshModel, MeshRoom } from './room.ts';
import { busyMs, legMs, peerAt } from './travel.ts';

/** What one token of one conversation costs its tab, on average. */
export interface TokenCost {
  /** Milliseconds from one token of a conversation to its next. */
  readonly tokenMs: number;
  /** Milliseconds of one MoE layer's exchange, or of one hop where layers are spread. */
  readonly stepMs: number;
  /** Frames in both directions, divided by the tokens that share them; a relayed frame counts on each of its links. */
  readonly messagesPerToken: number;
  /** Bytes of activations in both directions. */
  readonly bytesPerToken: number;
  /** Share of the chosen experts, or of the layers, that other peers compute. */
  readonly remoteShare: number;
}

/** [MoE layer][expert]: numbers of the peers that hold it. */
export type Holders = readonly (readonly (readonly number[])[])[];

/** How one tab reaches the peers, by their numbers. */
export interface Reach {
  readonly tab: number;
  /** By peer: what a row and an expert cost there. */
  readonly near: readonly number[];
  /** By peer that is relayed: through whom. */
  readonly relays: ReadonlyMap<number, number>;
}

/** What a tab asks of one peer, or of several through a relay, in one layer step; expected values. */
interface Part {
  /** Probability that anything is asked. */
  readonly chance: number;
  /** Tokens concerned. */
  readonly rows: number;
  /** Experts to compute, each for one token. */
  readonly work: number;
}

/**
 * What a token costs a tab, from each expert's share alone: choices are taken as independent of each other, and an expert
 * as computed by `holderFor`; what nobody holds, the tab brings home for each use. Steps of a tab's conversations run together.
 * @param shares [MoE layer][expert] of `expertShares`
 */
export function predictExperts(model: MeshModel, room: MeshRoom, shares: readonly (readonly number[])[], holders: Holders, reach: Reach): TokenCost {
  const { conversations, trunkLayerMs, expertMs, downBytesPerMs } = peerAt(room, reach.tab);
  const batch = Math.max(1, conversations);
  const total = { ms: 0, frames: 0, rows: 0, remote: 0, work: 0 };
  for (const [layer, experts] of holders.entries()) {
    const parts = partsOf(experts, shares[layer] ?? [], reach, batch);
    const brought = batch * sum(experts.flatMap((peers, expert) => (peers.length > 0 ? [] : [shares[layer]?.[expert] ?? 0])), (share) => share);
    const local = (parts.get(reach.tab)?.work ?? 0) * expertMs + (brought * (model.moeLayers[layer]?.expertBytes ?? 0)) / downBytesPerMs;
    parts.delete(reach.tab);
    const ways = [...groups(parts, reach.relays)].map(([head, members]) => way(model, room, reach.tab, head, members, batch));
    const frames = sum(ways, ({ chance }) => chance);
    const rows = sum(ways, (each) => each.rows);
    total.ms += exchangeMs(local, ways, busyMs(model, room, reach.tab, frames, rows));
    total.frames += frames + sum(ways, ({ onward }) => onward.frames);
    total.rows += rows + sum(ways, ({ onward }) => onward.rows);
    total.remote += sum([...parts.values()], ({ work }) => work);
    total.work += batch * sum(shares[layer] ?? [], (share) => share);
  }
  return {
    tokenMs: total.ms + model.layerCount * trunkLayerMs,
    stepMs: total.ms / Math.max(1, holders.length),
    messagesPerToken: (2 * total.frames) / batch,
    bytesPerToken: (2 * total.rows * model.rowBytes) / batch,
    remoteShare: total.work > 0 ? total.remote / total.work : 0,
  };
}

/** What a layer step asks of each peer; what nobody holds is the tab's own work. */
function partsOf(experts: readonly (readonly number[])[], shares: readonly number[], { tab, near }: Reach, batch: number): Map<number, Part> {
  const unasked = new Map<number, { everyone: number; token: number; work: number }>();
  for (const [expert, peers] of experts.entries()) {
    const share = shares[expert] ?? 0;
    const peer = holderFor(tab, peers, near);
    const { everyone, token, work } = unasked.get(peer) ?? { everyone: 1, token: 1, work: 0 };
    unasked.set(peer, { everyone: everyone * (1 - share) ** batch, token: token * (1 - share), work: work + batch * share });
  }
  return new Map([...unasked].map(([peer, { everyone, token, work }]) => [peer, { chance: 1 - everyone, rows: batch * (1 - token), work }]));
}

/** Who computes an expert for a tab: the tab itself where it holds it, or nobody does; else the nearest holder. */
export function holderFor(tab: number, peers: readonly number[], near: readonly number[]): number {
  if (peers.includes(tab)) return tab;
  return peers.reduce((best, peer) => (best === tab || (near[peer] ?? Infinity) < (near[best] ?? Infinity) ? peer : best), tab);
}

/** Parts by whom their frames go to first. */
function groups(parts: ReadonlyMap<number, Part>, relays: ReadonlyMap<number, number>): Map<number, Map<number, Part>> {
  const byHead = new Map<number, Map<number, Part>>();
  for (const [peer, part] of parts) {
    const head = relays.get(peer) ?? peer;
    const members = byHead.get(head) ?? new Map<number, Part>();
    byHead.set(head, members.set(peer, part));
  }
  return byHead;
}

/** Time and traffic of what goes to one peer, which passes on what is for others and adds up their answers. */
function way(model: MeshModel, room: MeshRoom, tab: number, head: number, members: ReadonlyMap<number, Part>, batch: number) {
  const all = [...members.values()];
  const chance = 1 - product(all, (part) => 1 - part.chance);
  const rows = batch * (1 - product(all, (part) => 1 - part.rows / batch));
  const own = members.get(head)?.work ?? 0;
  const others = [...members].filter(([peer]) => peer !== head).map(([, part]) => part);
  const onward = { frames: sum(others, (part) => part.chance), rows: sum(others, (part) => part.rows) };
  if (chance === 0) return { chance, rows, onward, ms: 0 };
  const legs = [...members].flatMap(([peer, part]) =>
    peer === head || part.chance === 0 ? [] : [{ chance: part.chance / chance, ms: legMs(model, room, head, peer, part.rows / part.chance, part.work / part.chance) }],
  );
  const onwardMs = exchangeMs((own / chance) * peerAt(room, head).expertMs, legs, busyMs(model, room, head, onward.frames / chance, onward.rows / chance));
  const ms = legMs(model, room, tab, head, rows / chance, 0) + onwardMs;
  return { chance, rows, onward, ms };
}

/**
 * Expected milliseconds until all answers are there, and the work at hand is done: as long as the longest way, or as one
 * side is busy with all of its frames, of which the last one's way comes on top.
 */
function exchangeMs(local: number, ways: readonly { readonly chance: number; readonly ms: number }[], busy: number): number {
  const asked = sum(ways, ({ chance }) => chance);
  const any = 1 - product(ways, ({ chance }) => 1 - chance);
  const lastWay = asked > 0 ? (any * sum(ways, ({ chance, ms }) => chance * ms)) / asked : 0;
  return Math.max(expectedMax([{ chance: 1, ms: local }, ...ways]), busy + lastWay);
}

/** Expected value of the longest of those that happen, each with its own chance. */
export function expectedMax(events: readonly { readonly chance: number; readonly ms: number }[]): number {
  let noneLonger = 1;
  let expected = 0;
  for (const { chance, ms } of events.toSorted((a, b) => b.ms - a.ms)) {
    expected += noneLonger * chance * ms;
    noneLonger *= 1 - chance;
  }
  return expected;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

function product<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total * of(value), 1);
}

import { HOME, type LayerPlacement, type LayerRange, type MeshPlan, type SharedPlan } from '../plan-types.ts';
import { predictLayers, splitLayers, type Stage } from './layers.ts';
import { fillPeer, placeMissing, shrinkPeer } from './place.ts';
import { Placement } from './placement.ts';
import { predictExperts, type Reach, type TokenCost } from './predict.ts';
import { chooseRelays } from './relays.ts';
import type { ExpertTraffic, MeshModel, MeshRoom } from './room.ts';
import { peerAt } from './travel.ts';
import { Worth } from './worth.ts';

/** How much more what a peer holds counts than what it could hold instead. */
const STICKINESS = 1.25;
/** Experts move for the sake of speed where a token then takes less than this share of its time. */
const WORTH_MOVING = 0.9;
const WORTH_PLANNING = 0.99;

export interface PlanOptions {
  /** Default `auto`: what takes a token less time, by the cost model. */
  readonly strategy?: 'experts' | 'layers' | 'auto';
  /**
   * Let nearer peers relay for others where that saves time by the cost model, and only one tab has conversations: with
   * several, a relay's line out is what all wait for (docs/mesh-planning.md). Default false.
   */
  readonly relays?: boolean;
  /** Fill memory that is left with second copies. Default true. */
  readonly replicas?: boolean;
}

/** Who holds what in a room, and what each tab does by it. */
export interface RoomPlan extends SharedPlan {
  /** By the name of each peer: the plan for its own conversations, and what a token is expected to cost there. */
  readonly tabs: ReadonlyMap<string, TabPlan>;
}

export interface TabPlan {
  readonly plan: MeshPlan;
  readonly cost: TokenCost;
}

/**
 * Plans a room anew, or on from the plan before. Every expert gets a holder, as long as there is memory, and what is left
 * takes replicas of what is worth most. From a plan before, as little moves as can be: what was lost gets a holder, free
 * memory is filled, and anything else moves only where tokens then come clearly sooner.
 */
export function planRoom(model: MeshModel, room: MeshRoom, traffic: ExpertTraffic, { strategy = 'auto', relays = false, replicas = true }: PlanOptions = {}, before?: SharedPlan): RoomPlan {
  const worth = new Worth(model, room, traffic);
  const version = (before?.version ?? 0) + 1;
  const byLayers = strategy === 'experts' ? undefined : planLayers(model, room, worth, version, before);
  if (byLayers && strategy === 'layers') return byLayers;
  const byExperts = planExperts(worth, { relays, replicas }, version, before);
  if (!byLayers) return byExperts;
  return timeOf(byLayers, worth) < timeOf(byExperts, worth) * preference(before) ? byLayers : byExperts;
}

/**
 * What a plan that another member has made means here: the same holders, whom each tab reaches in its own way. Peers that this tab does
 * not know are left out. A tab that wants experts spread has them so even where others have whole layers spread.
 */
export function followPlan(model: MeshModel, room: MeshRoom, traffic: ExpertTraffic, made: SharedPlan, { strategy = 'auto', relays = false }: PlanOptions = {}): RoomPlan {
  const worth = new Worth(model, room, traffic);
  if (made.strategy === 'experts' || strategy === 'experts') return named(worth, takeOver(model, room, made), relays, made.version);
  const numbers = new Map(room.peers.map(({ id }, peer) => [id, peer]));
  const stages = made.stages.flatMap(({ peer, first, end }) => {
    const number = numbers.get(peer);
    return number === undefined ? [] : [{ peer: number, first, end }];
  });
  return stagedPlan(model, room, stages, made.version);
}

/** Of time by experts, what layers must stay below: a room changes its strategy only where that clearly pays. */
function preference(before: SharedPlan | undefined): number {
  if (!before) return 1;
  return before.strategy === 'experts' ? WORTH_MOVING : 1 / WORTH_MOVING;
}

/** Bytes of experts that peers must fetch to get from one plan to the next. */
export function movedBytes(model: MeshModel, before: RoomPlan | undefined, after: RoomPlan): number {
  let bytes = 0;
  for (const [layer, experts] of after.holders.entries()) {
    for (const [expert, peers] of experts.entries()) {
      const had = new Set(before?.holders[layer]?.[expert]);
      bytes += peers.filter((peer) => !had.has(peer)).length * (model.moeLayers[layer]?.expertBytes ?? 0);
    }
  }
  return bytes;
}

function planExperts(worth: Worth, { relays, replicas }: { readonly relays: boolean; readonly replicas: boolean }, version: number, before: SharedPlan | undefined): RoomPlan {
  const { model, room } = worth;
  const kept = takeOver(model, room, before);
  for (const peer of room.peers.keys()) shrinkPeer(kept, worth, peer);
  // Whose conversations wait for the others fills up first, then whoever has most memory.
  const byNeed = room.peers
    .map((_, peer) => peer)
    .sort((a, b) => peerAt(room, b).conversations - peerAt(room, a).conversations || peerAt(room, b).memoryBytes - peerAt(room, a).memoryBytes);
  const fill = (placement: Placement, stickiness: number) => {
    placeMissing(placement, worth);
    if (replicas) for (const peer of byNeed) fillPeer(placement, worth, peer, stickiness);
    placeMissing(placement, worth);
    return placement;
  };
  const timeBy = ({ holders }: Placement) => worth.tabs.reduce((sum, { tab, weight }) => sum + weight * predictExperts(model, room, worth.shares, holders, direct(worth, tab)).tokenMs, 0);
  // Where nothing has to be moved yet, less is worth it. Each round takes a share off the time, so this ends; and a plan
  // that came out comes out again.
  const limit = before ? WORTH_MOVING : WORTH_PLANNING;
  for (let placement = fill(kept, Infinity); ; ) {
    const better = fill(placement.copy(), STICKINESS);
    if (!(timeBy(better) < limit * timeBy(placement))) return named(worth, placement, relays, version);
    placement = fill(better, Infinity);
  }
}

/** What peers that are still there held by the plan before. */
function takeOver(model: MeshModel, room: MeshRoom, before: SharedPlan | undefined): Placement {
  const placement = new Placement(model, room);
  const numbers = new Map(room.peers.map(({ id }, peer) => [id, peer]));
  for (const { layer, expert } of placement.experts()) {
    for (const id of before?.holders[layer]?.[expert] ?? []) {
      const peer = numbers.get(id);
      if (peer !== undefined) placement.add(layer, expert, peer);
    }
  }
  return placement;
}

function direct(worth: Worth, tab: number): Reach {
  return { tab, near: worth.near[tab] ?? [], relays: new Map() };
}

/** The plan in names, as each tab follows it. */
function named(worth: Worth, placement: Placement, relays: boolean, version: number): RoomPlan {
  const { model, room } = worth;
  const { holders } = placement;
  const name = (peer: number) => room.peers[peer]?.id ?? '';
  const tabs = room.peers.map(({ id }, tab): [string, TabPlan] => {
    const flat = direct(worth, tab);
    const reach = relays && worth.tabs.length === 1 ? chooseRelays(model, room, worth.shares, holders, flat) : flat;
    const cost = predictExperts(model, room, worth.shares, holders, reach);
    const near = (peer: number) => (peer === tab ? -1 : (reach.near[peer] ?? Infinity));
    const layers = model.moeLayers.map(
      ({ layer }, i): LayerPlacement => ({
        layer,
        holders: (holders[i] ?? []).map((peers) => peers.toSorted((a, b) => near(a) - near(b)).map((peer) => (peer === tab ? HOME : name(peer)))),
      }),
    );
    const plan: MeshPlan = {
      strategy: 'experts',
      version,
      messagesPerToken: cost.messagesPerToken,
      layers,
      relays: new Map([...reach.relays].map(([peer, relay]) => [name(peer), name(relay)])),
    };
    return [id, { plan, cost }];
  });
  return { version, strategy: 'experts', holders: holders.map((experts) => experts.map((peers) => peers.map(name))), stages: [], tabs: new Map(tabs) };
}

/** The tab with most conversations: a pipeline of layers starts with it. */
function mainTab({ tabs }: Worth): number {
  return tabs.reduce((best, each) => (each.weight > best.weight ? each : best), tabs[0] ?? { tab: 0, weight: 0 }).tab;
}

/** Undefined where the room's memory does not hold all layers. */
function planLayers(model: MeshModel, room: MeshRoom, worth: Worth, version: number, before: SharedPlan | undefined): RoomPlan | undefined {
  const fresh = splitLayers(model, room, mainTab(worth));
  const kept = before && stagesOf(before, model, room);
  const plans = [kept, fresh].map((stages) => stages && stagedPlan(model, room, stages, version));
  const [keptPlan, freshPlan] = plans;
  if (!keptPlan || !freshPlan) return freshPlan;
  return timeOf(freshPlan, worth) < WORTH_MOVING * timeOf(keptPlan, worth) ? freshPlan : keptPlan;
}

/** The stages of a plan, as long as all of its peers are there and have the memory. */
function stagesOf({ stages }: SharedPlan, model: MeshModel, room: MeshRoom): Stage[] | undefined {
  const numbers = new Map(room.peers.map(({ id }, peer) => [id, peer]));
  const found = stages.flatMap(({ peer, first, end }) => {
    const number = numbers.get(peer);
    const within = model.moeLayers.filter(({ layer }) => first <= layer && layer < end);
    const bytes = within.reduce((sum, { experts, expertBytes }) => sum + experts * expertBytes, 0);
    return number === undefined || peerAt(room, number).memoryBytes < bytes ? [] : [{ peer: number, first, end }];
  });
  return found.length > 0 && found.length === stages.length ? found : undefined;
}

function stagedPlan(model: MeshModel, room: MeshRoom, stages: readonly Stage[], version: number): RoomPlan {
  const name = (peer: number) => room.peers[peer]?.id ?? '';
  const holders = model.moeLayers.map(({ layer, experts }) => {
    const stage = stages.find(({ first, end }) => first <= layer && layer < end);
    return Array.from({ length: experts }, () => (stage ? [name(stage.peer)] : []));
  });
  const tabs = room.peers.map(({ id }, tab): [string, TabPlan] => {
    const cost = predictLayers(model, room, stages, tab);
    const ranges = stages.filter(({ peer }) => peer !== tab).map(({ peer, first, end }): LayerRange => ({ peer: name(peer), first, end }));
    return [id, { cost, plan: { strategy: 'layers', version, messagesPerToken: cost.messagesPerToken, ranges } }];
  });
  return { version, strategy: 'layers', holders, stages: stages.map(({ peer, ...range }) => ({ peer: name(peer), ...range })), tabs: new Map(tabs) };
}

/** Milliseconds of a token, over all conversations. */
function timeOf({ tabs }: RoomPlan, worth: Worth): number {
  return worth.tabs.reduce((sum, { tab, weight }) => sum + weight * (tabs.get(worth.room.peers[tab]?.id ?? '')?.cost.tokenMs ?? Infinity), 0);
}

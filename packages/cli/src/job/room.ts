import type { GenerateStats, JoinMeshOptions, MeshRoomHandle, MeshState, Model, TokenEvent } from '@gatefold/runtime';
import { framesOfToken } from '../../../runtime/src/mesh/split.ts';
import type { JobEvent, JoinJob, MeshReport, RoomJob } from './types.ts';

/** A room with everybody in it. */
export interface FullRoom {
  readonly handle: MeshRoomHandle;
  readonly tabs: number;
  /** After the first token, and after the latest. */
  readonly states: MeshState[];
}

/** Opens a room and waits until all others have come. */
export async function openRoom(model: Model, room: RoomJob, emit: (event: JobEvent) => void): Promise<FullRoom> {
  let full = () => {};
  const complete = new Promise<void>((resolve) => (full = resolve));
  const isFull = (there: number) => {
    if (there >= room.tabs - 1) full();
  };
  const handle = await model.mesh.open({ ...(await optionsOf(model, room)), ...(room.relay === undefined ? {} : { relay: room.relay }), onChange: (peers) => isFull(peers.length) });
  emit({ kind: 'room', link: handle.link });
  isFull(handle.peers.length);
  await complete;
  return { handle, tabs: room.tabs, states: [] };
}

/** Takes down by which plan a token came. */
export async function noteState({ handle, states }: FullRoom): Promise<void> {
  const state = await handle.state();
  states.splice(1, 1, state);
}

/** Joins a room and serves it for as long as the page is open. */
export async function serveRoom(model: Model, { link, room }: JoinJob): Promise<never> {
  await model.mesh.join(link, await optionsOf(model, room));
  return new Promise<never>(() => {});
}

async function optionsOf(model: Model, { conditions, strategy, wire, checkShare, corruptShare, memoryShare }: RoomJob): Promise<JoinMeshOptions> {
  const layers = model.info.spec.layers.filter(({ ffn }) => ffn.kind === 'moe').length;
  const { expertBytes } = await model.memory();
  return {
    conditions,
    ...(strategy === undefined ? {} : { strategy }),
    ...(wire === undefined ? {} : { wire }),
    ...(checkShare === undefined ? {} : { checkShare }),
    ...(corruptShare === undefined ? {} : { corruptShare }),
    // Enough for a layer, or none could go anywhere.
    ...(memoryShare === undefined ? {} : { memoryBytes: Math.ceil(expertBytes * Math.max(memoryShare, 1 / Math.max(1, layers))) }),
  };
}

/** @param choices experts of each generated token, [token][MoE layer][k] */
export function meshReport({ handle, tabs, states }: FullRoom, counts: NonNullable<GenerateStats['mesh']>, choices: readonly TokenEvent['experts'][]): MeshReport {
  const { decodeTokens, decodeMessages, decodeBytes, stepMs, longestStallMs, resends, failovers, checks, bans, revisions, remoteChoices } = counts;
  const [state] = states;
  const isOnePlan = new Set(states.map(({ holders, relays, messagesPerToken }) => JSON.stringify([holders, relays, messagesPerToken]))).size === 1;
  const isAsPlanned = isOnePlan && handle.peers.length === tabs - 1 && resends + failovers + revisions === 0;
  const sorted = stepMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return {
    tabs,
    messagesPerToken: ratio(decodeMessages, decodeTokens),
    bytesPerToken: ratio(decodeBytes, decodeTokens),
    predictedMessagesPerToken: isAsPlanned && state ? predicted(state, choices) : null,
    stepMs: { count: sorted.length, median: at(0.5), p95: at(0.95), max: sorted.at(-1) ?? 0 },
    longestStallMs,
    resends,
    failovers,
    checks,
    bans,
    revisions,
    remoteShare: ratio(remoteChoices, counts.choices),
  };
}

/** Frames in both directions of a decoded token, by who holds what and what the tokens chose. The first token comes of the prompt's pass. */
function predicted({ holders, messagesPerToken, relays }: MeshState, choices: readonly TokenEvent['experts'][]): number {
  // Whole layers cost the same whatever is chosen.
  if (holders.length === 0) return messagesPerToken;
  const plan = { layers: holders.map((experts, layer) => ({ layer, holders: experts })), relays: new Map(relays.map(({ peer, through }) => [peer, through])) };
  const decoded = choices.slice(1);
  return ratio(decoded.reduce((sum, chosen) => sum + 2 * framesOfToken(plan, chosen), 0), decoded.length);
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

import type { ExpertsPlan, LayersPlan } from '../../packages/runtime/src/mesh/plan-types.ts';
import type { RoomPlan } from '../../packages/runtime/src/mesh/planner/plan-room.ts';
import type { MeshModel, MeshRoom } from '../../packages/runtime/src/mesh/planner/room.ts';
import { Random } from '../synth/random.ts';
import { VirtualClock } from './clock.ts';
import { ExpertTrips } from './expert-trips.ts';
import { runLayers } from './layer-trips.ts';
import { Network, type Machine } from './network.ts';
import type { Profile } from './profiles.ts';

/** What one conversation's tokens choose, [token][MoE layer][k]. */
export type Choices = readonly (readonly (readonly number[])[])[];

export interface Simulation {
  readonly model: MeshModel;
  readonly room: MeshRoom;
  readonly profile: Profile;
  readonly plan: RoomPlan;
  /** Of as many conversations as the room has, in the order of its peers. */
  readonly choices: readonly Choices[];
  readonly seed: number;
}

export interface Outcome {
  /** From one token of a conversation to its next. */
  readonly tokenMs: number;
  /** Of all conversations together. */
  readonly tokensPerSecond: number;
  readonly messagesPerToken: number;
  readonly bytesPerToken: number;
  /** Requests that home took over since a peer was late. */
  readonly hedgesPerToken: number;
}

/** Decodes all conversations of a room on a virtual clock, by its plan. */
export async function simulate({ model, room, profile, plan, choices, seed }: Simulation): Promise<Outcome> {
  const clock = new VirtualClock();
  const network = new Network(clock, room, profile, new Random(seed));
  let next = 0;
  let hedges = 0;
  const tabs = network.machines.map(async (home) => {
    const own = choices.slice(next, (next += home.peer.conversations));
    const given = plan.tabs.get(home.peer.id)?.plan;
    if (!given || own.length === 0) return;
    if (given.strategy === 'layers') return decodeByLayers(model, network, home, given, own);
    const trips = new ExpertTrips(model, network, home, given);
    await decodeByExperts(model, network, home, given, own, trips);
    hedges += trips.hedges;
  });
  await clock.run(Promise.all(tabs));
  const steps = choices[0]?.length ?? 0;
  const tokens = steps * choices.length;
  return {
    tokenMs: clock.now / steps,
    tokensPerSecond: (1000 * tokens) / clock.now,
    messagesPerToken: network.messages / tokens,
    bytesPerToken: network.bytes / tokens,
    hedgesPerToken: hedges / tokens,
  };
}

/** A tab's conversations share each layer step. */
async function decodeByExperts(model: MeshModel, { clock }: Network, home: Machine, { layers }: ExpertsPlan, choices: readonly Choices[], trips: ExpertTrips): Promise<void> {
  const moe = new Map(layers.map(({ layer }, i) => [layer, i]));
  for (const token of choices[0]?.keys() ?? []) {
    for (let layer = 0; layer < model.layerCount; layer++) {
      await clock.until(home.gpu.take(clock.now, home.peer.trunkLayerMs));
      const i = moe.get(layer);
      if (i !== undefined) await trips.step(i, choices.map((conversation) => conversation[token]?.[i] ?? []));
    }
  }
}

/** Each conversation goes through the layers by itself. */
async function decodeByLayers(model: MeshModel, network: Network, home: Machine, { ranges }: LayersPlan, choices: readonly Choices[]): Promise<void> {
  await Promise.all(
    choices.map(async (conversation) => {
      for (let token = 0; token < conversation.length; token++) await runLayers(model, network, home, ranges);
    }),
  );
}

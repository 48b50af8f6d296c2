import { planRoom, type PlanOptions, type RoomPlan } from '../../packages/runtime/src/mesh/planner/plan-room.ts';
import type { ExpertTraffic, MeshModel } from '../../packages/runtime/src/mesh/planner/room.ts';
import { zipfTrace } from '../residency/zipf.ts';
import { roomOf, type Profile } from './profiles.ts';
import { simulate, type Choices, type Outcome } from './simulate.ts';

/** Tokens that the planner has seen, and tokens that are then decoded, of each conversation. */
const SEEN = 150;
const DECODED = 10;

/** The sizes of a real model. */
export interface ModelShape {
  readonly name: string;
  readonly layers: number;
  readonly experts: number;
  readonly topK: number;
  readonly width: number;
  readonly expertBytes: number;
  /** Of Zipf's law for how often experts are chosen. */
  readonly skew: number;
}

/** Sizes in Q4_0. */
export const OLMOE: ModelShape = { name: 'OLMoE-1B-7B', layers: 16, experts: 64, topK: 8, width: 2048, expertBytes: 3.54e6, skew: 0.6 };

export function modelOf({ layers, experts, topK, width, expertBytes }: ModelShape): MeshModel {
  return { layerCount: layers, moeLayers: Array.from({ length: layers }, (_, layer) => ({ layer, experts, expertBytes })), topK, rowBytes: 4 * width };
}

export interface Scene {
  readonly shape: ModelShape;
  readonly profile: Profile;
  readonly peers: number;
  /** Peers with conversations, and how many each of them has. */
  readonly tabs: number;
  readonly conversations: number;
  /** Memory of each peer: this many times its even share of the model. */
  readonly memory: number;
  readonly options: PlanOptions;
}

/** A planned room, and what its conversations then choose. */
export interface PlannedScene {
  readonly plan: RoomPlan;
  run(): Promise<Outcome>;
}

/** Plans a room by what its conversations have chosen so far; they then decode on. */
export function planScene({ shape, profile, peers, tabs, conversations, memory, options }: Scene): PlannedScene {
  const model = modelOf(shape);
  const total = shape.layers * shape.experts * shape.expertBytes;
  const memoryBytes = (memory * total) / peers;
  const room = roomOf(profile, { peers, tabs, conversations, memoryBytes });
  const all = tracesOf(shape, tabs * conversations);
  const plan = planRoom(model, room, trafficOf(shape, all.map((tokens) => tokens.slice(0, SEEN))), options);
  return { plan, run: () => simulate({ model, room, profile, plan, choices: all.map((tokens) => tokens.slice(SEEN)), seed: 1 }) };
}

const known = new Map<string, Choices[]>();

/** Conversations with one model: few experts do much of the work, neighbouring tokens share some. */
function tracesOf({ layers, experts, topK, skew }: ModelShape, count: number): Choices[] {
  const length = SEEN + DECODED;
  const key = [layers, experts, topK, skew, count].join();
  const before = known.get(key);
  if (before) return before;
  const { tokens } = zipfTrace({ layers, experts, topK, tokens: count * length, exponent: skew, repeat: 0.35, topicTokens: Infinity, seed: 7 });
  const conversations = Array.from({ length: count }, (_, i) => tokens.slice(i * length, (i + 1) * length));
  known.set(key, conversations);
  return conversations;
}

function trafficOf({ layers, experts }: ModelShape, conversations: readonly Choices[]): ExpertTraffic {
  const uses = Array.from({ length: layers }, () => Array.from({ length: experts }, () => 0));
  for (const token of conversations.flat()) {
    for (const [layer, chosen] of token.entries()) {
      const row = uses[layer];
      for (const expert of chosen) if (row) row[expert] = (row[expert] ?? 0) + 1;
    }
  }
  return { uses };
}

import { digits, table } from '../../packages/cli/src/numbers.ts';
import type { Emit } from '../src/job.ts';
import { PROFILES } from './profiles.ts';
import { OLMOE, planScene } from './scenes.ts';

const SIZES = [2, 4, 8, 16, 32, 64, 128, 256] as const;
/** Tabs with a conversation; others only serve. */
const MOST_TABS = 8;
/** Each peer's memory, in even shares of the model. */
const MEMORY = 2;

const WAYS = [
  { name: 'flat, one copy', replicas: false, relays: false },
  { name: 'relays, one copy', replicas: false, relays: true },
  { name: 'flat, replicas', replicas: true, relays: false },
  { name: 'relays, replicas', replicas: true, relays: true },
] as const;

export interface RoomRow {
  readonly profile: string;
  readonly peers: number;
  readonly tabs: number;
  readonly conversations: number;
  /** In the order of `ways`. */
  readonly ways: readonly WayResult[];
}

interface WayResult {
  readonly name: string;
  readonly tokenMs: number;
  readonly messagesPerToken: number;
  readonly bytesPerToken: number;
  readonly hedgesPerToken: number;
  /** What the planner says before. */
  readonly predictedMs: number;
  readonly predictedMessages: number;
  /** Peers that the first tab reaches through others. */
  readonly relayed: number;
}

export interface RoomsReport {
  readonly model: string;
  readonly rows: readonly RoomRow[];
}

/** Decoding in rooms of all sizes: asked directly or through relays, with and without replicas. */
export async function measureRooms(emit: Emit): Promise<RoomsReport> {
  const rows: RoomRow[] = [];
  for (const conversations of [1, 8]) {
    for (const profile of PROFILES) {
      for (const peers of SIZES) {
        const tabs = conversations === 1 ? Math.min(peers, MOST_TABS) : 1;
        const ways: WayResult[] = [];
        for (const { name, replicas, relays } of WAYS) {
          const { plan, run } = planScene({ shape: OLMOE, profile, peers, tabs, conversations, memory: MEMORY, options: { strategy: 'experts', replicas, relays } });
          const costs = [...plan.tabs.values()].slice(0, tabs);
          const [first] = costs;
          const mean = (of: (cost: (typeof costs)[number]['cost']) => number) => costs.reduce((sum, { cost }) => sum + of(cost), 0) / costs.length;
          const relayed = first?.plan.strategy === 'experts' ? first.plan.relays.size : 0;
          const { tokenMs, messagesPerToken, bytesPerToken, hedgesPerToken } = await run();
          ways.push({ name, tokenMs, messagesPerToken, bytesPerToken, hedgesPerToken, predictedMs: mean((cost) => cost.tokenMs), predictedMessages: mean((cost) => cost.messagesPerToken), relayed });
        }
        rows.push({ profile: profile.name, peers, tabs, conversations, ways });
        emit(`${profile.name}, ${peers} peers, ${tabs} tabs with ${conversations} conversations`);
      }
    }
  }
  return { model: OLMOE.name, rows };
}

/** In each cell milliseconds and messages of a token. */
export function showRooms({ model, rows }: RoomsReport): string {
  const head = ['profile', 'peers', ...WAYS.map(({ name }) => name)];
  const cell = ({ tokenMs, messagesPerToken }: WayResult) => `${digits(tokenMs)} · ${messagesPerToken.toFixed(0)}`;
  const shown = (conversations: number) => table(head, rows.filter((row) => row.conversations === conversations).map(({ profile, peers, ways }) => [profile, String(peers), ...ways.map(cell)]));
  return [
    `${model}, up to ${MOST_TABS} tabs with a conversation each: milliseconds a token · messages a token`,
    shown(1),
    `${model}, one tab with eight conversations: milliseconds from a token to the next of a conversation · messages a token`,
    shown(8),
  ].join('\n\n');
}

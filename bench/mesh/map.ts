import type { Emit } from '../src/job.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import type { Profile } from './profiles.ts';
import { OLMOE, planScene, type ModelShape } from './scenes.ts';

const ROUND_TRIPS = [0.5, 2, 5, 20, 50, 200] as const;
const BATCHES = [1, 2, 8, 32] as const;
const SHAPES: readonly ModelShape[] = [
  { ...OLMOE, name: '8 experts, top-2', experts: 8, topK: 2, expertBytes: OLMOE.expertBytes * 8 },
  { ...OLMOE, name: '64 experts, top-8' },
  { ...OLMOE, name: '256 experts, top-8', experts: 256, expertBytes: OLMOE.expertBytes / 4 },
];
const PEERS = 3;
/** Each peer's memory, in even shares of the model. */
const MEMORIES = [1.25, 2] as const;

interface MapCell {
  readonly experts: string;
  readonly memory: number;
  readonly roundTripMs: number;
  readonly batch: number;
  /** Tokens a second of all conversations. */
  readonly byExperts: number;
  readonly byLayers: number;
  /** What the cost model takes. */
  readonly auto: 'experts' | 'layers';
}

export interface MapReport {
  readonly peers: number;
  readonly cells: readonly MapCell[];
}

/** Where experts and where layers give more tokens a second, in a room of three of which one has the conversations. */
export async function measureMap(emit: Emit): Promise<MapReport> {
  const cells: MapCell[] = [];
  for (const shape of SHAPES) {
    for (const memory of MEMORIES) {
      for (const roundTripMs of ROUND_TRIPS) {
        for (const batch of BATCHES) {
          const scene = { shape, profile: evenly(roundTripMs), peers: PEERS, tabs: 1, conversations: batch, memory };
          const byExperts = await planScene({ ...scene, options: { strategy: 'experts' } }).run();
          const byLayers = await planScene({ ...scene, options: { strategy: 'layers' } }).run();
          const auto = planScene({ ...scene, options: { strategy: 'auto' } });
          cells.push({
            experts: shape.name,
            memory,
            roundTripMs,
            batch,
            byExperts: byExperts.tokensPerSecond,
            byLayers: byLayers.tokensPerSecond,
            auto: auto.plan.strategy,
          });
        }
      }
      emit(`${shape.name}, ${memory} times the even share of memory`);
    }
  }
  return { peers: PEERS, cells };
}

/** All peers equally far from each other; little jitter, no loss. */
function evenly(roundTripMs: number): Profile {
  const oneWay = roundTripMs / 2;
  return { name: `${roundTripMs} ms`, sites: ['here'], nearMs: oneWay * 0.95, farMs: [[oneWay]], jitterMs: oneWay * 0.05, loss: 0, upMbit: 100, downMbit: 100 };
}

export function showMap({ peers, cells }: MapReport): string {
  const parts = SHAPES.flatMap(({ name }) =>
    MEMORIES.map((memory) => {
      const rows = ROUND_TRIPS.map((ms) => [`${ms} ms`, ...BATCHES.map((batch) => shownCell(cells.find((cell) => cell.experts === name && cell.memory === memory && cell.roundTripMs === ms && cell.batch === batch)))]);
      return `${peers} peers, ${name}, memory for ${memory} × an even share\n\n${table(['round trip', ...BATCHES.map((batch) => `batch ${batch}`)], rows)}`;
    }),
  );
  const right = cells.filter(({ auto, byExperts, byLayers }) => (auto === 'experts' ? byExperts >= byLayers : byLayers >= byExperts)).length;
  const loss = Math.max(...cells.map(({ auto, byExperts, byLayers }) => Math.max(byExperts, byLayers) / (auto === 'experts' ? byExperts : byLayers)));
  return [...parts, `\`auto\` takes the faster one in ${right} of ${cells.length} cells; where it does not, the other is at most ${digits(loss)} times as fast.`].join('\n\n');
}

/** Which wins, and how many times as many tokens a second it gives. */
function shownCell(cell: MapCell | undefined): string {
  if (!cell) return '–';
  const ratio = cell.byExperts / cell.byLayers;
  return ratio >= 1 ? `experts ${digits(ratio)}` : `layers ${digits(1 / ratio)}`;
}

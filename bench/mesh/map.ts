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

/** What the tab with the conversations holds of the model itself. */
const SETTINGS = [
  { name: '42% at home', memory: 1.25, skew: 0.6 },
  { name: '95% at home', memory: 2.85, skew: 0.6 },
  { name: '95% at home, few experts do most', memory: 2.85, skew: 1.4 },
] as const;

interface MapCell {
  readonly experts: string;
  readonly setting: string;
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
    for (const { name: setting, memory, skew } of SETTINGS) {
      for (const roundTripMs of ROUND_TRIPS) {
        for (const batch of BATCHES) {
          const scene = { shape: { ...shape, skew }, profile: evenly(roundTripMs), peers: PEERS, tabs: 1, conversations: batch, memory };
          const byExperts = await planScene({ ...scene, options: { strategy: 'experts' } }).run();
          const byLayers = await planScene({ ...scene, options: { strategy: 'layers' } }).run();
          const auto = planScene({ ...scene, options: { strategy: 'auto' } });
          cells.push({
            experts: shape.name,
            setting,
            roundTripMs,
            batch,
            byExperts: byExperts.tokensPerSecond,
            byLayers: byLayers.tokensPerSecond,
            auto: auto.plan.strategy,
          });
        }
      }
      emit(`${shape.name}, ${setting}`);
    }
  }
  return { peers: PEERS, cells };
}

/** All peers equally far from each other, up to 2 ms on one LAN; little jitter, no loss. */
function evenly(roundTripMs: number): Profile {
  const oneWay = roundTripMs / 2;
  const mbit = roundTripMs > 2 ? 100 : 940;
  return { name: `${roundTripMs} ms`, sites: ['here'], nearMs: oneWay * 0.95, farMs: [[oneWay]], jitterMs: oneWay * 0.05, loss: 0, upMbit: mbit, downMbit: mbit };
}

export function showMap({ peers, cells }: MapReport): string {
  const rows = SHAPES.flatMap(({ name }) =>
    SETTINGS.flatMap(({ name: setting }) =>
      ROUND_TRIPS.map((ms) => [`${name}, ${setting}`, `${ms} ms`, ...BATCHES.map((batch) => shownCell(cells.find((cell) => cell.experts === name && cell.setting === setting && cell.roundTripMs === ms && cell.batch === batch)))]),
    ),
  );
  const right = cells.filter(({ auto, byExperts, byLayers }) => (auto === 'experts' ? byExperts >= byLayers : byLayers >= byExperts)).length;
  const loss = Math.max(...cells.map(({ auto, byExperts, byLayers }) => Math.max(byExperts, byLayers) / (auto === 'experts' ? byExperts : byLayers)));
  return [
    `${peers} peers, one with all conversations: which strategy gives more tokens a second, and how many times as many`,
    table(['model', 'round trip', ...BATCHES.map((batch) => `batch ${batch}`)], rows),
    `\`auto\` takes the faster one in ${right} of ${cells.length} cells; where it does not, the other is at most ${digits(loss)} times as fast.`,
  ].join('\n\n');
}

/** Which wins, and how many times as many tokens a second it gives. */
function shownCell(cell: MapCell | undefined): string {
  if (!cell) return '–';
  const ratio = cell.byExperts / cell.byLayers;
  return ratio >= 1 ? `experts ${digits(ratio)}` : `layers ${digits(1 / ratio)}`;
}

import type { MeshPeer, MeshRoom } from '../../packages/runtime/src/mesh/planner/room.ts';

/** What lies between the peers of a room. */
export interface Profile {
  readonly name: string;
  /** Where peers are; those at one site are `nearMs` apart, one way. */
  readonly sites: readonly string[];
  readonly nearMs: number;
  /** One way between sites, [site][site]. */
  readonly farMs: readonly (readonly number[])[];
  /** Mean of what comes on top of each way, exponentially distributed. */
  readonly jitterMs: number;
  /** Share of the frames that have to be sent again. */
  readonly loss: number;
  readonly upMbit: number;
  readonly downMbit: number;
  /** Lines of desktops, where they are better. */
  readonly desktopUpMbit?: number;
}

/** Round trips between continents are those that public looking glasses give for their large cities, rounded. */
export const PROFILES: readonly Profile[] = [
  { name: 'LAN', sites: ['desk'], nearMs: 0.25, farMs: [[0.25]], jitterMs: 0.05, loss: 0, upMbit: 940, downMbit: 940 },
  { name: 'home Wi-Fi', sites: ['home'], nearMs: 2, farMs: [[2]], jitterMs: 1, loss: 0.002, upMbit: 100, downMbit: 100 },
  {
    name: 'intercontinental',
    sites: ['Europe', 'North America', 'Asia'],
    nearMs: 8,
    farMs: [
      [8, 45, 90],
      [45, 8, 75],
      [90, 75, 8],
    ],
    jitterMs: 2,
    loss: 0.005,
    upMbit: 20,
    downMbit: 100,
    desktopUpMbit: 500,
  },
];

const BYTES_PER_MS = 125;

export interface RoomShape {
  readonly peers: number;
  /** The first so many peers have conversations. */
  readonly tabs: number;
  readonly conversations: number;
  readonly memoryBytes: number;
}

/** Peers by turns at the sites and of three kinds: a desktop's GPU, a laptop's, a phone's. */
export function roomOf(profile: Profile, { peers, tabs, conversations, memoryBytes }: RoomShape): MeshRoom {
  const kinds = [
    { expertMs: 0.02, trunkLayerMs: 0.06 },
    { expertMs: 0.05, trunkLayerMs: 0.15 },
    { expertMs: 0.2, trunkLayerMs: 0.5 },
  ] as const;
  const all = Array.from({ length: peers }, (_, i): MeshPeer => {
    // Tabs are laptops, so that rooms of all sizes compare.
    // At each site.
    const kind = i < tabs ? kinds[1] : (kinds[Math.floor(i / profile.sites.length) % 3] ?? kinds[1]);
    const { expertMs, trunkLayerMs } = kind;
    const upMbit = kind === kinds[0] ? (profile.desktopUpMbit ?? profile.upMbit) : profile.upMbit;
    return {
      id: `p${String(i).padStart(3, '0')}`,
      memoryBytes,
      expertMs,
      trunkLayerMs,
      frameMs: 0.05,
      upBytesPerMs: upMbit * BYTES_PER_MS,
      downBytesPerMs: Math.max(upMbit, profile.downMbit) * BYTES_PER_MS,
      conversations: i < tabs ? conversations : 0,
    };
  });
  const site = (peer: number) => peer % profile.sites.length;
  const oneWay = (a: number, b: number) => (a === b ? 0 : (site(a) === site(b) ? profile.nearMs : (profile.farMs[site(a)]?.[site(b)] ?? 0)) + profile.jitterMs);
  return { peers: all, latencyMs: all.map((_, a) => all.map((_peer, b) => oneWay(a, b))) };
}

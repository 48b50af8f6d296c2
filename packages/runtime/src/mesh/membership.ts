import type { PeerLink } from './link.ts';

/** What a peer says of itself when it joins. Claims, not facts: the planner may measure. */
export interface PeerHello {
  /** For people: "Firefox on Android". */
  readonly name: string;
  readonly kind: 'page' | 'node';
  /** `ModelInfo.modelId` of the model that it has or wants. */
  readonly modelId: string;
  /** URL that the model can be had from; empty where it was a file. */
  readonly modelUrl: string;
  /** GPU memory in bytes that it lends to the room. */
  readonly memoryBytes: number;
}

/** What is measured of a peer's connection. */
export interface LinkStats {
  /** Round trips by heart-beats, in milliseconds: the last ones, newest last. Empty until the first has come back. */
  readonly roundTripsMs: readonly number[];
}

/** A peer of the room that has shown its right to be there. */
export interface RoomPeer {
  /** 32 hex digits. */
  readonly name: string;
  readonly hello: PeerHello;
  /** Expert requests and their answers. */
  readonly link: PeerLink;
  /** Shards: a connection of its own, which comes about with its first frame. */
  readonly bulk: PeerLink;
  stats(): LinkStats;
}

export interface MembershipHandlers {
  readonly onJoin: (peer: RoomPeer) => void;
  /** Its link has closed by then. @param reason for people */
  readonly onLeave: (name: string, reason: string) => void;
}

/** A room as the engine sees it, wherever the connections are: in its own thread, or in the page that started the worker. */
export interface Membership {
  /** Our own name. */
  readonly self: string;
  readonly isHost: boolean;
  /** Call once; who is there already is told at once. */
  listen(handlers: MembershipHandlers): void;
  /** Ends the connection, and takes none from this peer any more. A host gives the room new keys. @param reason shown to everybody concerned */
  ban(name: string, reason: string): void;
  close(): void;
}

/** Texts of a hello are cut off there. */
const MAX_TEXT = 1000;

/** What a peer has sent, as a hello; what is missing or odd is empty. */
export function readHello(value: unknown): PeerHello {
  const fields: Readonly<Record<string, unknown>> = typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name].slice(0, MAX_TEXT) : '');
  const memory = fields['memoryBytes'];
  return {
    name: text('name'),
    kind: fields['kind'] === 'node' ? 'node' : 'page',
    modelId: text('modelId'),
    modelUrl: text('modelUrl'),
    memoryBytes: typeof memory === 'number' && memory > 0 && Number.isFinite(memory) ? memory : 0,
  };
}

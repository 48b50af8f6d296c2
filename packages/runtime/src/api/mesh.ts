import type { PeerHello } from '../mesh/membership.ts';
import type { LinkLimits } from '../mesh/limits.ts';
import type { OpenSignalling } from '../mesh/signalling/signalling.ts';
import type { LinkConditions } from '../mesh/transport/conditions.ts';
import type { CreateConnection } from '../mesh/transport/peer-connection.ts';

/** How a tab takes part in a room. */
export interface JoinMeshOptions {
  /** What others are told of this device, for people. */
  readonly name?: string;
  /** URL that others may load the model from; goes into the link. */
  readonly modelUrl?: string;
  /** STUN and TURN servers. None by default: devices of one network find each other without, and no third party learns of them. */
  readonly iceServers?: readonly RTCIceServer[];
  /**
   * What peers take over for this tab's answers: experts of every layer (default), whole layers, or what the cost model says
   * is faster.
   */
  readonly strategy?: 'experts' | 'layers' | 'auto';
  /** Let nearer peers pass on what is for farther ones, where round trips between them say that it saves time. Default true. */
  readonly relays?: boolean;
  /** How activations travel: `f32` (default: tokens are those of a solo run), or smaller and rounded. */
  readonly wire?: 'f32' | 'f16' | 'int8';
  /** Share of the peers' results that is computed again here and compared; default 1/64. */
  readonly checkShare?: number;
  readonly limits?: LinkLimits;
  /** Ends joining; `join` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called when somebody came or went, or was sent away. */
  readonly onChange?: (peers: readonly MeshPeerInfo[]) => void;
  /** Something that hinders others from joining, or us from reaching one of them. */
  readonly onWarning?: (error: Error) => void;
  /** Another way for peers to find each other than a relay of `gatefold relay`. */
  readonly signalling?: OpenSignalling;
  /** Another implementation of RTCPeerConnection, as in Node. */
  readonly createConnection?: CreateConnection;
  /** Worse conditions than the network's own, for tests. */
  readonly conditions?: LinkConditions;
  /** Memory that this tab's experts are planned for, its own and those for others, in bytes; default: all that its GPU budget leaves for them. */
  readonly memoryBytes?: number;
  /** Share of this tab's results for others that are made slightly wrong, to try their checks. Default 0. */
  readonly corruptShare?: number;
}

export interface OpenMeshOptions extends JoinMeshOptions {
  /** Address of a relay (`gatefold relay`); default: `gatefold-relay` beside the page, where `npm start` has one. */
  readonly relay?: string;
  /** The page that the link opens; default: this one. */
  readonly page?: string | URL;
  /** Asked for everybody who opens the link; by default the link is enough. */
  readonly ask?: (guest: { readonly name: string; readonly hello: PeerHello }) => boolean | Promise<boolean>;
  /** Others that are let in; default 32. */
  readonly maxPeers?: number;
}

export interface MeshPeerInfo extends PeerHello {
  /** 32 hex digits. */
  readonly peer: string;
  /** Median of the last heart-beats; undefined before the first. */
  readonly roundTripMs: number | undefined;
}

/** What happens in a room, as the engine sees it. */
export interface MeshState {
  /** Our own name. */
  readonly self: string;
  /** [MoE layer][expert]: names of those who hold it, nearest first; 'home' is this tab. */
  readonly holders: readonly (readonly (readonly string[])[])[];
  /** Frames that a decoded token is expected to cost: in both directions, and from peer to peer where layers are spread. */
  readonly messagesPerToken: number;
  /** Peers that this tab reaches through others. */
  readonly relays: readonly { readonly peer: string; readonly through: string }[];
  /** Peers that were sent away, and why. */
  readonly banned: readonly { readonly peer: string; readonly reason: string }[];
  /** Bytes of activations so far, by peer. */
  readonly traffic: readonly { readonly peer: string; readonly bytesSent: number; readonly bytesReceived: number }[];
}

/** A room that this tab is in. */
export interface MeshRoomHandle {
  /** Our own name. */
  readonly self: string;
  readonly isHost: boolean;
  /** Opens the room for whoever has it: room and secret are in its fragment. Only what a host's room says stays true after `revokeLink`. */
  readonly link: string;
  readonly peers: readonly MeshPeerInfo[];
  /** Makes all links of before worthless and returns a new one; who is in stays. For hosts. */
  revokeLink(): string;
  /** Sends a peer away. @param reason shown to it */
  ban(peer: string, reason: string): void;
  state(): Promise<MeshState>;
  /** Leaves the room. The model goes on alone. */
  close(): void;
}

export interface ModelMesh {
  /** Opens a room for this model. Throws `SignallingError`. */
  open(options?: OpenMeshOptions): Promise<MeshRoomHandle>;
  /** Joins a room. Throws `InvitationError`, `SignallingError`, `AdmissionError`, `PeerConnectionError`, `HandshakeError`, `MeshModelError`. */
  join(link: string | URL, options?: JoinMeshOptions): Promise<MeshRoomHandle>;
}

/** What the engine's side of a room is told; can be in a message. */
export interface RoomEngineOptions {
  readonly self: string;
  readonly isHost: boolean;
  readonly modelId: string;
  /** That this device has for experts. */
  readonly memoryBytes: number;
  readonly strategy?: 'experts' | 'layers' | 'auto';
  readonly relays?: boolean;
  readonly wire?: 'f32' | 'f16' | 'int8';
  readonly checkShare?: number;
  readonly corruptShare?: number;
}

// What crosses the port between the page, which owns the connections, and the worker, which owns the engine. Each
// peer has a port of its own, so that frames need no addresses.
import type { MeshState } from '../../api/mesh.ts';
import type { LinkLimits } from '../limits.ts';
import type { PeerHello } from '../membership.ts';
import type { LinkConditions } from '../transport/conditions.ts';

export interface JoinedMessage {
  readonly name: string;
  readonly hello: PeerHello;
  readonly limits: LinkLimits;
  readonly port: MessagePort;
  /** Whether the port holds the channel itself (`ArrivedLink`) instead of passing frames on. */
  readonly isMoved: boolean;
  /** Of a moved channel. */
  readonly conditions?: LinkConditions | undefined;
  readonly bulk: MessagePort;
}

/** From the room to the engine. */
export type RoomMessage =
  | { readonly joined: JoinedMessage }
  | { readonly left: { readonly name: string; readonly reason: string } }
  | { readonly askState: true }
  | { readonly closed: true };

/** From the engine to the room. */
export type EngineMessage = { readonly ban: { readonly name: string; readonly reason: string } } | { readonly state: MeshState } | { readonly close: true };

/** From a peer's connection to the engine: a frame, that the transport has taken this many bytes, measured round trips, the end. */
export type LinkMessage =
  | { readonly frame: Uint8Array<ArrayBuffer> }
  | { readonly taken: number }
  | { readonly roundTripsMs: readonly number[] }
  | { readonly closed: string };

/** From the engine to a peer's connection. */
export type SendMessage = { readonly frame: Uint8Array<ArrayBuffer> } | { readonly close: string };

/** A port whose messages are of one kind in each direction. */
export interface TypedPort<Sent, Received> {
  post(message: Sent, transfer?: Transferable[]): void;
  listen(handler: (message: Received) => void): void;
  close(): void;
}

/** Both ends of a port are this program's own: what comes through it is what was sent. */
export function typedPort<Sent, Received>(port: MessagePort): TypedPort<Sent, Received> {
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer),
    listen(handler) {
      port.addEventListener('message', ({ data }: MessageEvent<Received>) => handler(data));
      port.start();
    },
    close: () => port.close(),
  };
}

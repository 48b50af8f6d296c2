import type { SignalMessage } from './messages.ts';

/** What the way to the others tells. Nothing of it is to be believed before the handshake. */
export interface SignallingHandlers {
  readonly onMessage: (from: string, message: SignalMessage) => void;
  /** A message found nobody of that name. */
  readonly onAbsent: (peer: string) => void;
  /** It is over and does not come back; connections that stand are not touched. */
  readonly onClose: (error: Error) => void;
}

/**
 * The way on which peers that are not connected yet tell each other how to connect: a relay, or a serverless network.
 * Whoever runs it learns who connects with whom, and can refuse; the handshake keeps it from more.
 */
export interface Signalling {
  /** Call once. */
  listen(handlers: SignallingHandlers): void;
  send(to: string, message: SignalMessage): void;
  close(): void;
}

/**
 * Enters a room of the network under a name of one's own.
 * @param room and @param self 32 hex digits each
 * Throws `SignallingError`.
 */
export type OpenSignalling = (room: string, self: string) => Promise<Signalling>;

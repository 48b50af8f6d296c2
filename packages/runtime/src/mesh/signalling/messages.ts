import { MalformedFrameError } from '../errors.ts';

/** SDP of a data connection has one or two thousand characters; with many network interfaces a few more. */
export const MAX_MESSAGE_CHARACTERS = 16_384;

/** What two peers tell each other to connect. `connection` tells attempts apart. */
export type SignalMessage = { readonly connection: string } & (
  | { readonly description: { readonly type: 'offer' | 'answer'; readonly sdp: string } }
  | { readonly candidate: IceCandidate }
);

/** The part of RTCIceCandidateInit that data connections need. */
export interface IceCandidate {
  readonly candidate: string;
  readonly sdpMid: string | null;
}

/** Throws `MalformedFrameError`: what comes from a network may be anything. */
export function parseSignal(value: unknown): SignalMessage {
  const { connection, description, candidate } = recordOf(value);
  if (typeof connection !== 'string' || !/^[0-9a-f]{1,32}$/.test(connection)) throw new MalformedFrameError('a signal without its connection');
  if (description !== undefined) {
    const { type, sdp } = recordOf(description);
    if ((type === 'offer' || type === 'answer') && typeof sdp === 'string') return { connection, description: { type, sdp } };
  } else if (candidate !== undefined) {
    const { candidate: line, sdpMid } = recordOf(candidate);
    if (typeof line === 'string' && (sdpMid === null || typeof sdpMid === 'string')) return { connection, candidate: { candidate: line, sdpMid } };
  }
  throw new MalformedFrameError('a signal that is neither description nor candidate');
}

/** The value as a record whose fields may be anything; throws `MalformedFrameError` for what is none. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedFrameError('something that is no object');
  return Object.fromEntries(Object.entries(value));
}

/** JSON as a record. Throws `MalformedFrameError`. */
export function parseRecord(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedFrameError('text that is no JSON');
  }
  return recordOf(value);
}

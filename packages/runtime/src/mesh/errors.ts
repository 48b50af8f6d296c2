import { GatefoldError } from '../errors.ts';

/** A peer's link is gone; what was under way on it is computed elsewhere. */
export class LinkClosedError extends GatefoldError {
  override readonly name = 'LinkClosedError';
  constructor(
    readonly peer: string,
    readonly reason: string,
  ) {
    super('link-closed', `The connection to peer ${peer} is closed: ${reason}.`, { peer, reason });
  }
}

/** A frame is larger than both sides have agreed to take. */
export class FrameTooLargeError extends GatefoldError {
  override readonly name = 'FrameTooLargeError';
  constructor(
    readonly bytes: number,
    readonly limit: number,
  ) {
    super('frame-too-large', `A frame of ${bytes} bytes is over the limit of ${limit}. Send fewer tokens a frame.`, { bytes, limit });
  }
}

/** A peer has sent what no peer of this version sends. It is not asked again: the link closes. */
export class MalformedFrameError extends GatefoldError {
  override readonly name = 'MalformedFrameError';
  constructor(readonly problem: string) {
    super('malformed-frame', `A peer sent a malformed frame: ${problem}. Both tabs should run the same version of Gatefold.`, { problem });
  }
}

/** A peer sends more than it may. The link closes. */
export class PeerLimitError extends GatefoldError {
  override readonly name = 'PeerLimitError';
  constructor(
    readonly what: 'bytes a second' | 'messages a second' | 'bytes in memory',
    readonly limit: number,
  ) {
    super('peer-limit', `A peer is over the limit of ${limit} ${what}. Raise the room's limits if the peer is to be trusted with more.`, { what, limit });
  }
}

/** Two peers are connected, but one of them could not show the other that it belongs to the room. */
export class HandshakeError extends GatefoldError {
  override readonly name = 'HandshakeError';
  constructor(readonly reason: keyof typeof HANDSHAKE_PROBLEMS) {
    super(`handshake-${reason}`, HANDSHAKE_PROBLEMS[reason], { reason });
  }
}

const HANDSHAKE_PROBLEMS = {
  version: 'The other side speaks another version of the mesh protocol. Reload both tabs.',
  secret: "The other side does not know this room's secret: the link is wrong or revoked, or a handshake was replayed. Ask for a new link.",
  fingerprint: 'The connection ends at somebody who stands between both sides: its DTLS fingerprints are not those that the other side sees. Use another relay.',
  malformed: 'The other side sent what is no handshake. Reload both tabs.',
  closed: 'The other side ended the handshake: most likely the link is wrong or revoked. Ask for a new link.',
  timeout: 'The other side did not finish the handshake in time. Try again.',
} as const;

/** Peers found each other, but no connection came about. */
export class PeerConnectionError extends GatefoldError {
  override readonly name = 'PeerConnectionError';
  constructor(
    readonly peer: string,
    readonly problem: string,
  ) {
    super('peer-connection', `No connection to peer ${peer}: ${problem}. Across networks it may take a STUN or TURN server (iceServers).`, { peer, problem });
  }
}

/** The way on which peers find each other failed. Connections that stand are not touched. */
export class SignallingError extends GatefoldError {
  override readonly name = 'SignallingError';
  constructor(
    readonly relay: string,
    readonly problem: string,
  ) {
    super('signalling', `The relay ${relay} cannot be used: ${problem}. Check its address, or start one: gatefold relay.`, { relay, problem });
  }
}

/** A link is no invitation to a room. */
export class InvitationError extends GatefoldError {
  override readonly name = 'InvitationError';
  constructor(readonly problem: string) {
    super('invitation', `This is no link to a room: ${problem}. Copy the whole link, with all that follows the #.`, { problem });
  }
}

/** The room is there, but did not let us in; or it is not there. */
export class AdmissionError extends GatefoldError {
  override readonly name = 'AdmissionError';
  constructor(readonly reason: keyof typeof ADMISSION_PROBLEMS) {
    super(`admission-${reason}`, ADMISSION_PROBLEMS[reason], { reason });
  }
}

const ADMISSION_PROBLEMS = {
  absent: 'Nobody is in this room: its host has left or closed it. Ask for a new link.',
  refused: 'The host did not let this tab in.',
  full: 'The room is full.',
} as const;

/** The room runs another model than the one that is loaded here. */
export class MeshModelError extends GatefoldError {
  override readonly name = 'MeshModelError';
  constructor(
    readonly own: string,
    readonly wanted: string,
    /** Where it can be had from; empty where that was a file. */
    readonly url: string,
  ) {
    super('mesh-model', `The room runs another model than this tab. Load the room's${url === '' ? ' (ask its host for the file)' : `: ${url}`}.`, { own, wanted, url });
  }
}

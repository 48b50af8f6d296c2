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

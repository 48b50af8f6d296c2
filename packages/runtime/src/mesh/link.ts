/** What a link tells its owner. */
export interface LinkHandlers {
  /** A whole frame, in the order in which the peer sent them. The bytes are the receiver's to keep. */
  readonly onFrame: (frame: Uint8Array<ArrayBuffer>) => void;
  /** Once, and nothing after it. */
  readonly onClose: (reason: string) => void;
}

/**
 * An authenticated connection to one peer of a room that carries frames whole and in order, whatever lies under it:
 * WebRTC, or memory in a test. Everything above it (expert requests, failover, result checks) knows only this.
 */
export interface PeerLink {
  /** The peer's name within the room. */
  readonly peer: string;
  /** Call once; frames that came before wait for it. */
  listen(handlers: LinkHandlers): void;
  /**
   * Resolves when the transport has taken the frame and has room for another: whoever awaits it feels back-pressure.
   * Throws `LinkClosedError`, and `FrameTooLargeError` beyond the limit that both sides keep.
   */
  send(frame: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Bytes taken by `send` and not on their way yet. */
  readonly bufferedBytes: number;
  close(reason: string): void;
}

import { PeerConnectionError } from '../errors.ts';
import { ConditionedChannel, type LinkConditions } from './conditions.ts';
import { ControlChannel } from './control-channel.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { MessageChannelLike } from './message-channel.ts';
import { moveChannel, type MovedChannel } from './moved-link.ts';
import type { CreateConnection, PeerConnectionLike } from './peer-connection.ts';

const OPEN_MS = 20_000;
/** What was said last has so long to arrive: closing a connection drops what is under way. */
const LINGER_MS = 500;

export interface ConnectionOptions {
  /** STUN and TURN servers. There are none by default: then peers of one network find each other, and nobody else learns of it. */
  readonly iceServers?: readonly RTCIceServer[];
  /** Another implementation of RTCPeerConnection, as in Node. */
  readonly createConnection?: CreateConnection;
  /** Worse conditions than the link's own, for tests. */
  readonly conditions?: LinkConditions;
  /** Frames are handled in a worker: their channel is to go there, where the browser can move it. */
  readonly moveFrames?: boolean;
}

/** A connection to one peer with its two channels, which are agreed on and need no negotiation. Not authenticated yet. */
export class Connection {
  readonly rtc: PeerConnectionLike;
  readonly control: ControlChannel;
  /** Frames' slices: reliable, in no order. */
  readonly frames: MessageChannelLike;
  /** Where the channel of frames is by now. */
  readonly moved: MovedChannel | undefined;
  readonly #opened: Promise<void>;

  constructor(
    readonly peer: string,
    { iceServers = [], createConnection = (configuration) => new RTCPeerConnection(configuration), conditions, moveFrames = false }: ConnectionOptions,
  ) {
    this.rtc = createConnection({ iceServers: [...iceServers] });
    const control = this.rtc.createDataChannel('control', { negotiated: true, id: 0 });
    const frames = this.rtc.createDataChannel('frames', { negotiated: true, id: 1, ordered: false });
    // Only at once: a channel that has been used stays.
    this.moved = moveFrames ? moveChannel(frames, conditions) : undefined;
    this.control = new ControlChannel(conditions ? new ConditionedChannel(control, conditions, true) : control);
    this.frames = conditions ? new ConditionedChannel(frames, conditions, false) : frames;
    this.#opened = Promise.all(this.moved ? [opened(control)] : [opened(control), opened(frames)]).then(() => {});
    this.onLost(() => this.control.close());
  }

  /** Resolves when both channels are open. Throws `PeerConnectionError`. */
  async opened(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const failed = new Promise<never>((_, reject) => {
      const fail = (problem: string) => reject(new PeerConnectionError(this.peer, problem));
      this.onLost(() => fail('no way to it was found'));
      timer = setTimeout(() => fail(`it did not come about within ${OPEN_MS / 1000} seconds`), OPEN_MS);
    });
    try {
      await Promise.race([this.#opened, failed]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Of the certificates that both ends have shown each other. Throws `HandshakeError`. */
  fingerprints(): { readonly own: string; readonly other: string } {
    return { own: fingerprintOf(this.rtc.localDescription?.sdp), other: fingerprintOf(this.rtc.remoteDescription?.sdp) };
  }

  onLost(lost: () => void): void {
    this.rtc.addEventListener('connectionstatechange', () => {
      if (this.rtc.connectionState === 'failed' || this.rtc.connectionState === 'closed') lost();
    });
  }

  /** Ends it, after what was said last has arrived. */
  close(): void {
    this.control.close();
    setTimeout(() => this.rtc.close(), LINGER_MS);
  }

  /** Ends it at once: the other side has broken the rules. */
  cut(): void {
    this.control.close();
    this.rtc.close();
  }
}

function opened(channel: MessageChannelLike): Promise<void> {
  return new Promise((resolve) => {
    if (channel.readyState === 'open') resolve();
    else channel.addEventListener('open', () => resolve(), { once: true });
  });
}

import { FrameTooLargeError, LinkClosedError, MalformedFrameError, PeerLimitError } from '../errors.ts';
import type { LinkLimits } from '../limits.ts';
import type { LinkHandlers, PeerLink } from '../link.ts';
import { dataOf, type MessageChannelLike } from './message-channel.ts';
import { RateLimit } from './rate-limit.ts';
import { Reassembler, slicesOf } from './slices.ts';

/** So much lies in the transport's buffer before `send` waits, and so little before it goes on. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

/** What went over a link so far. */
export interface LinkTraffic {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly framesSent: number;
  readonly framesReceived: number;
}

/** Frames over one data channel (`ordered: false`, reliable) of an authenticated connection. */
export class ChannelLink implements PeerLink {
  readonly #slices: Reassembler;
  readonly #bytes: RateLimit;
  readonly #messages: RateLimit;
  readonly #closing = new AbortController();
  readonly #waiting: Bytes[] = [];
  #waitingBytes = 0;
  #handlers: LinkHandlers | undefined;
  #closed: string | undefined;
  #nextFrame = 0;
  #lastSend: Promise<void>;
  #queuedBytes = 0;
  #wake = () => {};
  #traffic = { bytesSent: 0, bytesReceived: 0, framesSent: 0, framesReceived: 0 };

  /** @param onClose told once, to close the connection too; with an error where the peer broke the rules */
  constructor(
    readonly peer: string,
    readonly channel: MessageChannelLike,
    readonly limits: LinkLimits,
    readonly onClose: (reason: string, error?: unknown) => void = () => {},
  ) {
    this.#slices = new Reassembler(limits, (frame) => this.#deliver(frame));
    this.#bytes = new RateLimit(limits.bytesPerSecond);
    this.#messages = new RateLimit(limits.slicesPerSecond);
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LOW_WATER;
    const { signal } = this.#closing;
    channel.addEventListener('message', (event) => this.#receive(dataOf(event)), { signal });
    this.#lastSend = channel.readyState === 'connecting' ? new Promise((open) => (this.#wake = open)) : Promise.resolve();
    channel.addEventListener('open', () => this.#wake(), { signal });
    channel.addEventListener('bufferedamountlow', () => this.#wake(), { signal });
    channel.addEventListener('close', () => this.close('the peer is gone'), { signal });
    channel.addEventListener('error', () => this.close('the channel failed'), { signal });
  }

  get traffic(): LinkTraffic {
    return { ...this.#traffic };
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.channel.bufferedAmount;
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    for (const frame of this.#waiting.splice(0)) handlers.onFrame(frame);
    this.#waitingBytes = 0;
    if (this.#closed !== undefined) handlers.onClose(this.#closed);
  }

  async send(frame: Bytes): Promise<void> {
    if (frame.length > this.limits.maxFrameBytes) throw new FrameTooLargeError(frame.length, this.limits.maxFrameBytes);
    this.#throwIfClosed();
    this.#queuedBytes += frame.length;
    const sent = this.#lastSend.then(() => this.#sendSlices(frame));
    // The next frame waits for this one, but does not fail with it.
    this.#lastSend = sent.catch(() => {});
    await sent;
  }

  close(reason: string): void {
    this.#close(reason);
  }

  async #sendSlices(frame: Bytes): Promise<void> {
    const number = this.#nextFrame;
    this.#nextFrame = (number + 1) >>> 0;
    this.#queuedBytes -= frame.length;
    for (const slice of slicesOf(frame, number)) {
      this.#throwIfClosed();
      try {
        this.channel.send(slice);
      } catch {
        // It has closed, and the event that tells is still on its way.
        this.#close('the peer is gone');
        this.#throwIfClosed();
      }
      this.#traffic.bytesSent += slice.length;
      if (this.channel.bufferedAmount > HIGH_WATER) await new Promise<void>((drained) => (this.#wake = drained));
    }
    this.#throwIfClosed();
    this.#traffic.framesSent++;
  }

  #receive(data: unknown): void {
    try {
      if (!(data instanceof ArrayBuffer)) throw new MalformedFrameError('text where bytes belong');
      this.#traffic.bytesReceived += data.byteLength;
      if (!this.#messages.take(1)) throw new PeerLimitError('messages a second', this.limits.slicesPerSecond);
      if (!this.#bytes.take(data.byteLength)) throw new PeerLimitError('bytes a second', this.limits.bytesPerSecond);
      this.#slices.push(new Uint8Array(data));
    } catch (error) {
      this.#close(error instanceof Error ? error.message : String(error), error);
    }
  }

  #close(reason: string, error?: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#closing.abort();
    this.#wake();
    this.#handlers?.onClose(reason);
    this.onClose(reason, error);
  }

  #deliver(frame: Bytes): void {
    this.#traffic.framesReceived++;
    if (this.#handlers) return this.#handlers.onFrame(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > this.limits.maxPendingBytes) throw new PeerLimitError('bytes in memory', this.limits.maxPendingBytes);
    this.#waiting.push(frame);
  }

  #throwIfClosed(): void {
    if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
  }
}

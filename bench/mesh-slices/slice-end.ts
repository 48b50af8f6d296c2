import { DEFAULT_LIMITS } from '../../packages/runtime/src/mesh/limits.ts';
import { Reassembler, slicesOf } from '../../packages/runtime/src/mesh/transport/slices.ts';

/** As the engine's links have it. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

/** First byte of a frame: it is to be sent back; more come; it is the last, and a short frame says that it is there. */
const ECHO = 1;
const MORE = 2;
const LAST = 3;

type Bytes = Uint8Array<ArrayBuffer>;

/** One end of a connection that cuts frames into slices of a given size; in a page. */
export class SliceEnd {
  readonly #connection = new RTCPeerConnection();
  readonly #channel: RTCDataChannel;
  readonly #slices: Reassembler;
  #next = 0;
  #arrived: () => void = () => {};
  #drained: () => void = () => {};

  /** @param partBytes of a frame in a slice */
  constructor(readonly partBytes: number) {
    this.#channel = this.#connection.createDataChannel('frames', { negotiated: true, id: 0, ordered: false });
    this.#channel.binaryType = 'arraybuffer';
    this.#channel.bufferedAmountLowThreshold = LOW_WATER;
    this.#slices = new Reassembler(DEFAULT_LIMITS, (frame) => void this.#take(frame), partBytes);
    this.#channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => this.#slices.push(new Uint8Array(data)));
    this.#channel.addEventListener('bufferedamountlow', () => this.#drained());
  }

  /** @param remote the other end's description, where it has begun @returns its own, with all addresses */
  async describe(remote?: RTCSessionDescriptionInit): Promise<RTCSessionDescriptionInit> {
    if (remote) await this.#connection.setRemoteDescription(remote);
    const gathered = new Promise<void>((done) => {
      this.#connection.addEventListener('icegatheringstatechange', () => this.#connection.iceGatheringState === 'complete' && done());
    });
    await this.#connection.setLocalDescription();
    await gathered;
    const { type = 'offer', sdp = '' } = this.#connection.localDescription ?? {};
    return { type, sdp };
  }

  /** Takes the answer to its description. */
  async accept(remote: RTCSessionDescriptionInit): Promise<void> {
    await this.#connection.setRemoteDescription(remote);
    if (this.#channel.readyState !== 'open') await new Promise((open) => this.#channel.addEventListener('open', open, { once: true }));
  }

  /** Milliseconds of round trips of frames, there and back. */
  async roundTrips(frameBytes: number, count: number): Promise<readonly number[]> {
    const frame = new Uint8Array(frameBytes);
    frame[0] = ECHO;
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const begun = performance.now();
      await this.#sendAndWait(frame);
      times.push(performance.now() - begun);
    }
    return times;
  }

  /** Milliseconds until so many frames have gone over. */
  async send(frameBytes: number, count: number): Promise<number> {
    const frame = new Uint8Array(frameBytes);
    const begun = performance.now();
    frame[0] = MORE;
    for (let i = 1; i < count; i++) await this.#send(frame);
    frame[0] = LAST;
    await this.#sendAndWait(frame);
    return performance.now() - begun;
  }

  close(): void {
    this.#connection.close();
  }

  async #sendAndWait(frame: Bytes): Promise<void> {
    const arrived = new Promise<void>((resolve) => (this.#arrived = resolve));
    await this.#send(frame);
    await arrived;
  }

  async #send(frame: Bytes): Promise<void> {
    for (const slice of slicesOf(frame, this.#next++, this.partBytes)) {
      this.#channel.send(slice);
      if (this.#channel.bufferedAmount > HIGH_WATER) await new Promise<void>((drained) => (this.#drained = drained));
    }
  }

  async #take(frame: Bytes): Promise<void> {
    if (frame[0] === ECHO) await this.#send(frame.fill(0, 0, 1));
    else if (frame[0] === LAST) await this.#send(new Uint8Array(1));
    else if (frame[0] === 0) this.#arrived();
  }
}

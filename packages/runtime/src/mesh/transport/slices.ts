// A frame travels as slices, each one message of an unordered, reliable channel: a lost packet then holds up its own
// slice and no other. A slice is a header of 16 bytes, little-endian, and its part of the frame:
//   0  u8  version
//   1  u8 × 3, zero
//   4  u32 number of the frame, from 0
//   8  u32 bytes of the whole frame
//  12  u32 where in the frame this part lies, a multiple of PART_BYTES
import { FrameTooLargeError, MalformedFrameError, PeerLimitError } from '../errors.ts';
import type { LinkLimits } from '../limits.ts';

const VERSION = 1;
const HEADER_BYTES = 16;

/** Of a slice with its header: three or four packets, so that one slice never holds a long queue up. */
const SLICE_BYTES = 4600;
export const PART_BYTES = SLICE_BYTES - HEADER_BYTES;

/** So far may a frame run ahead of the one that is due. */
const WINDOW = 4096;

type Bytes = Uint8Array<ArrayBuffer>;

/** Cuts a frame. @param number of the frame, modulo 2^32 @param partBytes of the frame in a slice; both ends must have the same */
export function* slicesOf(frame: Bytes, number: number, partBytes: number = PART_BYTES): Generator<Bytes> {
  let offset = 0;
  do {
    const part = frame.subarray(offset, offset + partBytes);
    const slice = new Uint8Array(HEADER_BYTES + part.length);
    const header = new DataView(slice.buffer);
    header.setUint8(0, VERSION);
    header.setUint32(4, number, true);
    header.setUint32(8, frame.length, true);
    header.setUint32(12, offset, true);
    slice.set(part, HEADER_BYTES);
    yield slice;
    offset += partBytes;
  } while (offset < frame.length);
}

/** A frame of which at least one slice has come. */
interface Partial {
  readonly bytes: Bytes;
  /** Which slices have come. */
  readonly seen: Uint8Array;
  missing: number;
}

/** Puts frames together again, and in order, within a bound of memory whatever the peer sends. */
export class Reassembler {
  readonly #partials = new Map<number, Partial>();
  #due = 0;
  #heldBytes = 0;

  constructor(
    readonly limits: Pick<LinkLimits, 'maxFrameBytes' | 'maxPendingBytes'>,
    readonly deliver: (frame: Bytes) => void,
    readonly partBytes: number = PART_BYTES,
  ) {}

  /** Bytes of frames that are not delivered yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Throws `MalformedFrameError`, `FrameTooLargeError` and `PeerLimitError`; nothing can be pushed after that. */
  push(slice: Bytes): void {
    const { number, frameBytes, offset, part } = readSlice(slice, this.limits.maxFrameBytes, this.partBytes);
    if ((number - this.#due) >>> 0 >= WINDOW) throw new MalformedFrameError(`frame ${number} where ${this.#due} is due`);
    const partial = this.#partials.get(number) ?? this.#begin(number, frameBytes);
    const index = offset / this.partBytes;
    if (partial.bytes.length !== frameBytes) throw new MalformedFrameError(`frame ${number} has two lengths`);
    if (partial.seen[index]) throw new MalformedFrameError(`slice ${index} of frame ${number} came twice`);
    partial.seen[index] = 1;
    partial.missing--;
    partial.bytes.set(part, offset);
    this.#deliverDue();
  }

  #begin(number: number, frameBytes: number): Partial {
    this.#heldBytes += frameBytes;
    if (this.#heldBytes > this.limits.maxPendingBytes) throw new PeerLimitError('bytes in memory', this.limits.maxPendingBytes);
    const slices = Math.max(1, Math.ceil(frameBytes / this.partBytes));
    const partial = { bytes: new Uint8Array(frameBytes), seen: new Uint8Array(slices), missing: slices };
    this.#partials.set(number, partial);
    return partial;
  }

  #deliverDue(): void {
    for (let partial = this.#partials.get(this.#due); partial?.missing === 0; partial = this.#partials.get(this.#due)) {
      this.#partials.delete(this.#due);
      this.#due = (this.#due + 1) >>> 0;
      this.#heldBytes -= partial.bytes.length;
      this.deliver(partial.bytes);
    }
  }
}

function readSlice(slice: Bytes, maxFrameBytes: number, partBytes: number) {
  if (slice.length < HEADER_BYTES) throw new MalformedFrameError(`a slice of ${slice.length} bytes`);
  const header = new DataView(slice.buffer, slice.byteOffset, HEADER_BYTES);
  if (header.getUint32(0, true) !== VERSION) throw new MalformedFrameError(`version ${header.getUint32(0, true)} instead of ${VERSION}`);
  const [number, frameBytes, offset] = [header.getUint32(4, true), header.getUint32(8, true), header.getUint32(12, true)];
  if (frameBytes > maxFrameBytes) throw new FrameTooLargeError(frameBytes, maxFrameBytes);
  if (offset % partBytes !== 0 || (offset > 0 && offset >= frameBytes)) throw new MalformedFrameError(`offset ${offset} of ${frameBytes}`);
  const part = slice.subarray(HEADER_BYTES);
  const expected = Math.min(partBytes, frameBytes - offset);
  if (part.length !== expected) throw new MalformedFrameError(`a slice with ${part.length} bytes instead of ${expected}`);
  return { number, frameBytes, offset, part };
}

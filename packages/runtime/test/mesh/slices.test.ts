import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PART_BYTES, Reassembler, slicesOf } from '../../src/mesh/transport/slices.ts';

const LIMITS = { maxFrameBytes: 1 << 20, maxPendingBytes: 4 << 20 };
const HEADER_BYTES = 16;

type Bytes = Uint8Array<ArrayBuffer>;

function bytesOf(length: number, seed: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

/** A header as the format says, and what lies behind it. */
function slice({ version = 1, number = 0, frameBytes = 10, offset = 0, part = frameBytes }: { version?: number; number?: number; frameBytes?: number; offset?: number; part?: number }): Bytes {
  const bytes = new Uint8Array(HEADER_BYTES + part);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [version, number, frameBytes, offset].entries()) view.setUint32(4 * i, value, true);
  return bytes;
}

test('frames come whole and in order, in whatever order their slices come', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(50), fc.constantFrom(PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 20_000)), { maxLength: 8 }), fc.infiniteStream(fc.nat()), (sizes, random) => {
      const frames = sizes.map(bytesOf);
      const slices = frames.flatMap((frame, number) => [...slicesOf(frame, number)]);
      for (const one of slices) expect(one.length).toBeLessThanOrEqual(4600);
      const received: Bytes[] = [];
      const reassembler = new Reassembler(LIMITS, (frame) => received.push(frame));
      while (slices.length > 0) {
        const [next] = slices.splice((random.next().value ?? 0) % slices.length, 1);
        if (next) reassembler.push(next);
      }
      expect(received.map(({ length }) => length)).toEqual(sizes);
      expect(received.every((frame, i) => Buffer.from(frame).equals(frames[i] ?? Buffer.alloc(0)))).toBe(true);
      expect(reassembler.heldBytes).toBe(0);
    }),
  );
});

test.each([
  ['is shorter than a header', new Uint8Array(15), 'malformed-frame'],
  ['is of another version', slice({ version: 2 }), 'malformed-frame'],
  ['has something where zeros belong', slice({ version: 257 }), 'malformed-frame'],
  ['is of a frame that is too large', slice({ frameBytes: (1 << 20) + 1, part: PART_BYTES }), 'frame-too-large'],
  ['lies between parts', slice({ frameBytes: 2 * PART_BYTES, offset: 5, part: PART_BYTES }), 'malformed-frame'],
  ['lies behind its frame', slice({ frameBytes: PART_BYTES, offset: PART_BYTES, part: 0 }), 'malformed-frame'],
  ['is shorter than its part', slice({ part: 9 }), 'malformed-frame'],
  ['is longer than its part', slice({ part: 11 }), 'malformed-frame'],
  ['is of a frame far ahead', slice({ number: 5000 }), 'malformed-frame'],
])('a slice that %s is refused', (_, bytes, code) => {
  const reassembler = new Reassembler(LIMITS, () => {});
  expect(() => reassembler.push(bytes)).toThrow(expect.objectContaining({ code }));
});

test('a slice that comes twice, and a frame of two lengths, are refused', () => {
  const reassembler = new Reassembler(LIMITS, () => {});
  reassembler.push(slice({ frameBytes: 2 * PART_BYTES, part: PART_BYTES }));
  expect(() => reassembler.push(slice({ frameBytes: 2 * PART_BYTES, part: PART_BYTES }))).toThrow(expect.objectContaining({ code: 'malformed-frame' }));
  expect(() => reassembler.push(slice({ frameBytes: 3 * PART_BYTES, offset: PART_BYTES, part: PART_BYTES }))).toThrow(expect.objectContaining({ code: 'malformed-frame' }));
});

test('whatever a peer sends, memory stays within its bound and errors are typed', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 5000 }).map((bytes) => new Uint8Array(bytes)),
    fc.record({ number: fc.nat(10), frameBytes: fc.nat(3 << 20), offset: fc.nat(300).map((i) => i * PART_BYTES) }).map(({ number, frameBytes, offset }) =>
      slice({ number, frameBytes, offset, part: Math.max(0, Math.min(PART_BYTES, frameBytes - offset)) }),
    ),
  );
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 40 }), (slices) => {
      const reassembler = new Reassembler(LIMITS, () => {});
      try {
        for (const one of slices) {
          reassembler.push(one);
          expect(reassembler.heldBytes).toBeLessThanOrEqual(LIMITS.maxPendingBytes);
        }
      } catch (error) {
        expect(['malformed-frame', 'frame-too-large', 'peer-limit']).toContain(Object(error).code);
      }
    }),
  );
});

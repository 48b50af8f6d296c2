import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame, FrameFormatError, layersFrameBytes, workFrameBytes, type Frame } from '../../src/mesh/frames.ts';

const WIDTH = 4;
const work = { layer: 7, tokens: 2, counts: Uint8Array.of(1, 2), experts: Uint16Array.of(3, 500, 4), weights: Float32Array.of(0.5, 0.25, 1), x: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
const FRAMES: readonly Frame[] = [
  { kind: 'work', id: 9, format: 'f32', relay: false, work },
  { kind: 'work', id: 9, format: 'f32', relay: true, work },
  { kind: 'layers', id: 2 ** 32 - 1, format: 'f32', work: { origin: '', conversation: 5, route: [{ peer: 'b', first: 1, end: 9 }], start: 77, tokens: 2, x: work.x } },
  { kind: 'layers', id: 3, format: 'f32', work: { origin: 'home', conversation: 5, route: [{ peer: 'b', first: 1, end: 2 }, { peer: 'ç', first: 2, end: 3 }], start: 0, tokens: 2, x: work.x } },
  { kind: 'passed', id: 4, format: 'f32', end: 9, tokens: 2, rows: work.x },
  { kind: 'stopped', id: 5, reason: 'no-state' },
  { kind: 'where', id: 6 },
  { kind: 'here', id: 7, state: 'on' },
  { kind: 'status', status: { isHost: true, conversations: 3, roundTripsMs: new Map([['b', 1.5], ['ç', 0]]) } },
  { kind: 'plan', plan: { version: 2 ** 31, strategy: 'layers', holders: [[['b'], []], [['c', 'b']]], stages: [{ peer: 'c', first: 1, end: 2 }] } },
  { kind: 'plan', plan: { version: 1, strategy: 'experts', holders: [], stages: [] } },
  { kind: 'answer', id: 1, format: 'f32', tokens: 2, rows: work.x },
  { kind: 'refusal', id: 3, reason: 'unavailable' },
  { kind: 'forget', id: 12 },
  { kind: 'hold', experts: [{ layer: 3, expert: 70 }, { layer: 4, expert: 0 }] },
];

describe('frames', () => {
  it.each(FRAMES)('$kind: comes out as it went in, of the size that was said', (frame) => {
    const bytes = encodeFrame(frame);
    expect(decodeFrame(bytes, WIDTH)).toEqual(frame);
    if (frame.kind === 'layers') expect(bytes.length).toBe(layersFrameBytes('f32', frame.work, WIDTH));
    if (frame.kind === 'work') expect(bytes.length).toBe(workFrameBytes('f32', 2, 3, WIDTH));
  });

  it.each(FRAMES)('$kind: any byte more or less is refused', (frame) => {
    const bytes = encodeFrame(frame);
    for (let length = 0; length < bytes.length; length++) expect(() => decodeFrame(bytes.slice(0, length), WIDTH)).toThrow(FrameFormatError);
    expect(() => decodeFrame(Uint8Array.from([...bytes, 0]), WIDTH)).toThrow(FrameFormatError);
  });

  it('another version, kind or format, no tokens, and no or too many experts are refused', () => {
    const bad = (at: number, value: number, frame: Frame = { kind: 'work', id: 9, format: 'f32', relay: false, work }) => {
      const bytes = encodeFrame(frame);
      bytes[at] = value;
      return () => decodeFrame(bytes, WIDTH);
    };
    for (const change of [bad(0, 2), bad(1, 99), bad(2, 7), bad(10, 0), bad(12, 0), bad(12, 65)]) expect(change).toThrow(FrameFormatError);
  });

  it('random bytes are refused or are a frame, and nothing else happens', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    let state = seed;
    const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
    for (let run = 0; run < 5000; run++) {
      const bytes = Uint8Array.from({ length: 3 + next() }, next);
      if (run % 2 === 0) bytes.set([1, next() % 8, next() % 3]);
      try {
        decodeFrame(bytes, WIDTH);
      } catch (error) {
        if (!(error instanceof FrameFormatError)) throw new Error(`seed ${seed}, run ${run}`, { cause: error });
      }
    }
  });
});

// What the exchange decides, without a GPU: who computes what, how long to wait, what a check allows, what a ban takes back.
import { describe, expect, it } from 'vitest';
import { AnswerLedger, RevisionError } from '../../src/mesh/answer-ledger.ts';
import { addRows, takeExperts, workOf } from '../../src/mesh/expert-work.ts';
import { ResponseTimes } from '../../src/mesh/response-times.ts';
import { CheckDraw, difference, resultTolerance } from '../../src/mesh/result-check.ts';
import { splitExperts } from '../../src/mesh/split.ts';

const sorted = (split: ReadonlyMap<string, ReadonlySet<number>>) => Object.fromEntries(Array.from(split, ([name, experts]) => [name, [...experts]]));

describe('sharing a step out', () => {
  const holders = [['home'], ['b', 'home'], ['b'], ['c', 'b'], ['c'], []];
  it('takes as few frames as replicas allow', () => {
    expect(sorted(splitExperts([5, 4, 3, 2, 1, 0, 3], holders, () => true))).toEqual({ home: [0, 1, 5], b: [2], c: [4, 3] });
    expect(sorted(splitExperts([3, 4], holders, () => true))).toEqual({ c: [4, 3] });
  });
  it('leaves to home what nobody can be asked for', () => {
    expect(sorted(splitExperts([2, 3, 4], holders, (peer) => peer === 'b'))).toEqual({ b: [2, 3], home: [4] });
    expect(sorted(splitExperts([2, 3, 99], holders, () => false))).toEqual({ home: [2, 3, 99] });
  });
});

describe('parts of work', () => {
  it('have each token once, and add up to the whole', () => {
    const work = workOf(3, 2, Uint32Array.of(1, 2, 3, 1, 2, 4), Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), Float32Array.of(1, 1, 2, 2, 3, 3));
    const part = takeExperts(work, new Set([1, 2]));
    expect(part?.work).toMatchObject({ layer: 3, tokens: 3, counts: Uint8Array.of(2, 1, 1), experts: Uint16Array.of(1, 2, 1, 2) });
    expect(takeExperts(work, new Set([4]))).toMatchObject({ rows: Uint32Array.of(2), work: { tokens: 1, x: Float32Array.of(3, 3) } });
    expect(takeExperts(work, new Set([9]))).toBeUndefined();
    const sums = new Float32Array(6).fill(1);
    addRows(sums, Float32Array.of(5, 6), Uint32Array.of(2), 2);
    expect([...sums]).toEqual([1, 1, 1, 1, 6, 7]);
  });
});

describe('how long a peer may take', () => {
  it('is the most until it is known, then a multiple of its slowest hundredth, by size', () => {
    const times = new ResponseTimes({ leastMs: 30, mostMs: 500 });
    for (let i = 0; i < 7; i++) times.add(1, 20);
    expect(times.hedgeMs(1)).toBe(500);
    times.add(1, 25);
    expect(times.hedgeMs(1)).toBe(75);
    expect(times.hedgeMs(512)).toBe(500);
    for (let i = 0; i < 200; i++) times.add(1, 1);
    expect(times.hedgeMs(1)).toBe(30);
    for (let i = 0; i < 200; i++) times.add(1, 400);
    expect(times.hedgeMs(1)).toBe(500);
  });
});

describe('checks', () => {
  it('are drawn with the share that was asked for, the same by the same seed', () => {
    const draw = () => {
      const drawn = new CheckDraw(1 / 64, 42);
      return Array.from({ length: 64_000 }, () => drawn.next());
    };
    const hits = draw().filter(Boolean).length;
    expect(hits).toBeGreaterThan(850);
    expect(hits).toBeLessThan(1150);
    expect(draw()).toEqual(draw());
    expect(Array.from({ length: 10 }, () => new CheckDraw(1).next()).every(Boolean)).toBe(true);
    expect(Array.from({ length: 10 }, () => new CheckDraw(0).next()).some(Boolean)).toBe(false);
  });

  it('allow rounding and no more', () => {
    const tolerance = resultTolerance(64, 64, 'f32');
    const own = Float32Array.of(1, -2, 0.5, 0);
    expect(difference(own.map((value) => value * (1 + 2 ** -20)), own, 4, tolerance)).toBeUndefined();
    expect(difference(own.map((value) => value * 1.001), own, 4, tolerance)).toMatch(/off by 2\.0e-3/);
    expect(difference(Float32Array.of(1, NaN, 0.5, 0), own, 4, tolerance)).toMatch(/off by/);
    expect(difference(new Float32Array(4), new Float32Array(4), 4, tolerance)).toBeUndefined();
    expect(resultTolerance(64, 64, 'int8')).toBeGreaterThan(resultTolerance(64, 64, 'f16'));
  });
});

describe('what a ban takes back', () => {
  const revision = (ledger: AnswerLedger) => {
    try {
      ledger.check();
    } catch (error) {
      if (error instanceof RevisionError) return error.position;
      throw error;
    }
    return undefined;
  };

  it('is what rests on the peer since its last good check', () => {
    const ledger = new AnswerLedger();
    ledger.use('b', 1, 0);
    ledger.use('b', 2, 8);
    ledger.use('b', 3, 8);
    ledger.use('c', 4, 9);
    ledger.vouch('b', 2);
    expect(revision(ledger)).toBeUndefined();
    ledger.distrust('b', 'lies');
    expect(revision(ledger)).toBe(8);
    expect(revision(ledger)).toBeUndefined();
    ledger.vouch('c', 4);
    ledger.distrust('c', 'lies too');
    expect(revision(ledger)).toBeUndefined();
    expect(ledger.counts.bans).toHaveLength(2);
  });
});

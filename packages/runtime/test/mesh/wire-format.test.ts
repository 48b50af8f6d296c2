import { describe, expect, it } from 'vitest';
import { readRows, roundingError, rowBytes, WIRE_FORMATS, writeRows, type WireFormat } from '../../src/mesh/wire-format.ts';

const SEED = Math.floor(Math.random() * 2 ** 31);

/** Values of very different sizes, each row of its own magnitude. */
function randomRows(rows: number, width: number): Float32Array<ArrayBuffer> {
  let state = SEED;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const scale = 10 ** (next() * 20 - 10);
    for (let i = 0; i < width; i++) values[row * width + i] = (next() - 0.5) * scale * (next() < 0.1 ? 1e-3 : 1);
  }
  return values;
}

function roundTrip(format: WireFormat, values: Float32Array, width: number): Float32Array {
  const rows = values.length / width;
  // Rows begin anywhere within a frame.
  const wire = new DataView(new ArrayBuffer(3 + rows * rowBytes(format, width)), 3);
  writeRows(format, values, width, wire);
  return readRows(format, wire, rows, width);
}

describe.each(WIRE_FORMATS)('rows as %s', (format) => {
  it.each([1, 31, 32, 33, 64, 2048])(`of %i values: off by no more than said (seed ${SEED})`, (width) => {
    const values = randomRows(5, width);
    const back = roundTrip(format, values, width);
    for (let row = 0; row < 5; row++) {
      const [own, got] = [values, back].map((all) => all.subarray(row * width, (row + 1) * width));
      const largest = Math.max(...(own ?? []).map(Math.abs));
      const error = Math.max(...(own ?? []).map((value, i) => Math.abs(value - (got?.[i] ?? NaN))));
      expect(error / largest).toBeLessThanOrEqual(roundingError(format) * 1.001);
    }
  });

  it('zeros stay, and what is not finite is not lost', () => {
    expect([...roundTrip(format, new Float32Array(40), 40)]).toEqual(Array.from({ length: 40 }, () => 0));
    const broken = roundTrip(format, new Float32Array(40).fill(1).fill(NaN, 3, 4).fill(Infinity, 5, 6), 40);
    expect(broken.every(Number.isFinite)).toBe(false);
  });
});

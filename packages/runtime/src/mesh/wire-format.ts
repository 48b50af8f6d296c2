/** How activations travel: exact, or rounded to half or about a quarter of the bytes. */
export type WireFormat = 'f32' | 'f16' | 'int8';

export const WIRE_FORMATS: readonly WireFormat[] = ['f32', 'f16', 'int8'];

/** Values of int8 that share a scale. */
const BLOCK = 32;
const SCALE_BYTES = 4;

/** Bytes of one row of `width` values. */
export function rowBytes(format: WireFormat, width: number): number {
  if (format === 'f32') return width * 4;
  // A scale a row, so that large values do not overflow and small ones keep their bits; or one a block.
  if (format === 'f16') return SCALE_BYTES + width * 2;
  return Math.ceil(width / BLOCK) * SCALE_BYTES + width;
}

/** Greatest difference that a format makes to a value, as a share of the row's largest. */
export function roundingError(format: WireFormat): number {
  return { f32: 0, f16: 2 ** -11, int8: 0.5 / 127 }[format];
}

/** Writes rows of `width` values to `out`. */
export function writeRows(format: WireFormat, values: Float32Array, width: number, out: DataView): void {
  const bytes = rowBytes(format, width);
  for (let row = 0; row * width < values.length; row++) {
    const part = values.subarray(row * width, (row + 1) * width);
    const target = new DataView(out.buffer, out.byteOffset + row * bytes, bytes);
    if (format === 'f32') bytesAt(out, row * bytes, bytes).set(new Uint8Array(part.buffer, part.byteOffset, bytes));
    else if (format === 'f16') writeHalves(part, target);
    else writeBytes(part, target);
  }
}

/** Reads `rows` rows of `width` values. @param from exactly as long as they take */
export function readRows(format: WireFormat, from: DataView, rows: number, width: number): Float32Array<ArrayBuffer> {
  const bytes = rowBytes(format, width);
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const source = new DataView(from.buffer, from.byteOffset + row * bytes, bytes);
    const part = values.subarray(row * width, (row + 1) * width);
    if (format === 'f32') new Uint8Array(part.buffer, part.byteOffset, bytes).set(bytesAt(from, row * bytes, bytes));
    else if (format === 'f16') readHalves(source, part);
    else readBytes(source, part);
  }
  return values;
}

/** Every machine that has a GPU for this is little-endian, as the wire is. */
function bytesAt({ buffer, byteOffset }: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset + offset, length);
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function writeHalves(values: Float32Array, out: DataView): void {
  const most = largest(values);
  // A power of two loses no bit; the largest value becomes one from 2^14 to 2^15.
  const scale = most > 0 && most < Infinity ? 2 ** Math.max(-126, Math.floor(Math.log2(most)) - 14) : 1;
  out.setFloat32(0, scale, true);
  for (const [i, value] of values.entries()) out.setUint16(SCALE_BYTES + i * 2, halfBits(value / scale), true);
}

function readHalves(from: DataView, out: Float32Array): void {
  const scale = from.getFloat32(0, true);
  for (let i = 0; i < out.length; i++) out[i] = halfValue(from.getUint16(SCALE_BYTES + i * 2, true)) * scale;
}

function writeBytes(values: Float32Array, out: DataView): void {
  let at = 0;
  for (let first = 0; first < values.length; first += BLOCK) {
    const block = values.subarray(first, first + BLOCK);
    const scale = Math.fround(largest(block) / 127);
    out.setFloat32(at, scale, true);
    for (const [i, value] of block.entries()) out.setInt8(at + SCALE_BYTES + i, scale > 0 ? Math.max(-127, Math.min(127, Math.round(value / scale))) : 0);
    at += SCALE_BYTES + block.length;
  }
}

function readBytes(from: DataView, out: Float32Array): void {
  let at = 0;
  for (let first = 0; first < out.length; first += BLOCK) {
    const block = out.subarray(first, first + BLOCK);
    const scale = from.getFloat32(at, true);
    for (let i = 0; i < block.length; i++) block[i] = from.getInt8(at + SCALE_BYTES + i) * scale;
    at += SCALE_BYTES + block.length;
  }
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** IEEE 754 half precision, to nearest, ties to even. */
function halfBits(value: number): number {
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65_520) return sign | 0x7c00;
  // Below the smallest normal number: multiples of 2^-24.
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  float[0] = magnitude;
  const whole = bits[0] ?? 0;
  return sign | (roundEven(whole / 2 ** 13) - (112 << 10));
}

function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function roundEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
}

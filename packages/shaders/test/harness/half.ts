/** Bits of f16 numbers, rounded to nearest; what is too small becomes 0. */
export function halfBits(values: Float32Array): Uint16Array<ArrayBuffer> {
  const word = new DataView(new ArrayBuffer(4));
  return Uint16Array.from(values, (value) => {
    if (Number.isNaN(value)) return 0x7e00;
    word.setFloat32(0, value);
    // Carries into the exponent where the mantissa is full.
    const rounded = word.getUint32(0) + 0x1000;
    const exponent = ((rounded >>> 23) & 0xff) - 112;
    const sign = (rounded >>> 16) & 0x8000;
    return exponent <= 0 ? sign : sign | (Math.min(exponent, 31) << 10) | ((rounded >>> 13) & 0x3ff);
  });
}

/** The numbers that f16 bits stand for. */
export function halvesOf(bytes: ArrayBuffer, length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(new Uint16Array(bytes, 0, length), (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const mantissa = bits & 0x3ff;
    if (exponent === 31) return mantissa ? NaN : sign * Infinity;
    return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
  });
}

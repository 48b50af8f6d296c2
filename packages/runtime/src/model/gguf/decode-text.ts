const lenientUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const strictUtf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Longest string that goes without a decoder. */
const SHORT = 32;
/** An array to gather the characters in, for each length. */
const gathered: readonly number[][] = Array.from({ length: SHORT + 1 }, (_, length) => Array.from({ length }, () => 0));

/**
 * Text of some UTF-8 bytes, byte order marks included; malformed sequences become U+FFFD.
 * Short ASCII, which nearly all tokens are, takes half the time and no garbage: there are 150,000 of them.
 */
export function decodeText(bytes: Uint8Array, start: number, length: number): string {
  const codes = gathered[length];
  if (codes && gatherAscii(bytes, start, codes)) return String.fromCharCode(...codes);
  return lenientUtf8.decode(bytes.subarray(start, start + length));
}

function gatherAscii(bytes: Uint8Array, start: number, codes: number[]): boolean {
  for (let i = 0; i < codes.length; i++) {
    const byte = bytes[start + i] ?? 0;
    if (byte > 127) return false;
    codes[i] = byte;
  }
  return true;
}

/** The same; undefined where the bytes are no valid UTF-8. */
export function decodeStrictly(bytes: Uint8Array, start: number, length: number): string | undefined {
  try {
    return strictUtf8.decode(bytes.subarray(start, start + length));
  } catch {
    return undefined;
  }
}

/** A byte-level BPE vocabulary that means nothing, but from which every tokeniser can be built. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly string[];
  /** llama.cpp's token types: 1 normal, 3 control. */
  readonly types: readonly number[];
  /** The only special token: the last one. */
  readonly endId: number;
}

/** Bytes as the printable characters that GPT-2's byte-level BPE writes them with. */
function byteCharacters(): string[] {
  let shifted = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : shifted++);
  });
}

/** @param size tokens, at least 257: all bytes, then all pairs of bytes, then all pairs of a pair and a byte, then the end of text */
export function vocabulary(size: number): Vocabulary {
  const tokens = byteCharacters();
  const merges: string[] = [];
  while (tokens.length < size - 1) {
    const merge = merges.length;
    // The first 256 × 256 merges join bytes; those after them join earlier merges with a byte.
    const left = tokens[merge < 65536 ? merge >> 8 : 256 + ((merge - 65536) >> 8)] ?? '';
    const right = tokens[merge & 255] ?? '';
    merges.push(`${left} ${right}`);
    tokens.push(left + right);
  }
  tokens.push('<|endoftext|>');
  return { tokens, merges, types: tokens.map((_, id) => (id === size - 1 ? 3 : 1)), endId: size - 1 };
}

import { TokenKind, type Vocabulary } from './vocabulary.ts';

/** What SentencePiece writes for a space. */
export const SPACE = '▁';

/** Tokens of bytes, such as `<0x0A>`, which stand for characters that are no token. */
export class ByteTokens {
  readonly #ids = new Map<number, number>();
  readonly #unknown: number | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#unknown = vocabulary.role('unknown');
    for (const [id, token] of vocabulary.tokens.entries()) {
      if (vocabulary.kind(id) === TokenKind.byte) this.#ids.set(byteOf(token), id);
    }
  }

  /** Ids of a text's UTF-8 bytes. */
  encode(text: string): number[] {
    const ids = Array.from(new TextEncoder().encode(text), (byte) => this.#ids.get(byte) ?? this.#unknown);
    return ids.filter((id) => id !== undefined);
  }
}

/** The UTF-8 bytes that a token stands for. */
export function bytesOf(token: string, kind: number): Uint8Array {
  return kind === TokenKind.byte ? Uint8Array.of(byteOf(token)) : new TextEncoder().encode(token.replaceAll(SPACE, ' '));
}

function byteOf(token: string): number {
  return Number.parseInt(token.slice(3, 5), 16) || 0;
}

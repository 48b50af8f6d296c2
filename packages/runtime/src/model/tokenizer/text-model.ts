/** How ordinary text becomes ids and ids become text; special tokens are dealt with around it. */
export interface TextModel {
  /** Texts are encoded as if a space stood before them, so decoding removes one from the start. */
  readonly leadingSpace: boolean;
  /** Ids of a text, or of a part of one that begins after a special token. */
  encode(text: string): number[];
  /** The UTF-8 bytes that a token of ordinary text stands for; several tokens can share a character. */
  bytes(token: string, kind: number): Uint8Array;
}

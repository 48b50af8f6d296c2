/** Bytes that are gathered before they become a Blob. */
const PIECE_BYTES = 16 * 1024 * 1024;

/**
 * The body of a server that ignores Range: one pass over it, no further than somebody asks, and what has passed is
 * kept as Blobs, which browsers may move to disk.
 */
export class WholeBody {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #pieces: Blob[] = [];
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #pendingBytes = 0;
  #received = 0;
  #ended = false;
  #pulling: Promise<void> | undefined;

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = body.getReader();
  }

  /** Bytes [offset, offset + length), or fewer where the body ends before. Rejects when the connection breaks. */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const end = offset + length;
    while (this.#received < end && !this.#ended) {
      this.#pulling ??= this.#pull().finally(() => (this.#pulling = undefined));
      await this.#pulling;
    }
    if (end > this.#received - this.#pendingBytes) this.#flush();
    return new Uint8Array(await new Blob(this.#pieces).slice(offset, end).arrayBuffer());
  }

  async #pull(): Promise<void> {
    const { done, value } = await this.#reader.read();
    if (done) {
      this.#ended = true;
      return;
    }
    this.#pending.push(value);
    this.#pendingBytes += value.length;
    this.#received += value.length;
    if (this.#pendingBytes >= PIECE_BYTES) this.#flush();
  }

  #flush(): void {
    this.#pieces.push(new Blob(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

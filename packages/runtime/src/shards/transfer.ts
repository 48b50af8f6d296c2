import type { Shard } from './shard.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** One reader's part in a transfer. */
export interface Joined {
  /** Never unhandled when it rejects: a reader may leave before it looks. */
  readonly bytes: Promise<Bytes>;
  /** The reader has what it wanted, or wants it no more. Once is enough. */
  leave(): void;
}

/** Shards on their way together, for whoever asks for one of them. Stops when nobody waits any more. */
export class Transfer {
  readonly #abort = new AbortController();
  readonly #result: Promise<ReadonlyMap<string, Bytes>>;
  readonly #onEnd: () => void;
  #readers = 0;

  /** @param onEnd called when the result is there, and when nobody waits for it */
  constructor(run: (signal: AbortSignal) => Promise<ReadonlyMap<string, Bytes>>, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#result = run(this.#abort.signal).finally(onEnd);
    this.#result.catch(() => {});
  }

  join(shard: Shard): Joined {
    this.#readers++;
    const bytes = this.#bytes(shard);
    bytes.catch(() => {});
    let joined = true;
    const leave = () => {
      if (joined && --this.#readers === 0) {
        this.#onEnd();
        this.#abort.abort();
      }
      joined = false;
    };
    return { bytes, leave };
  }

  async #bytes(shard: Shard): Promise<Bytes> {
    const bytes = (await this.#result).get(shard.id);
    if (!bytes) throw new TypeError(`shard ${shard.id} is not part of this transfer`);
    return bytes;
  }
}

import { abortable } from './sources/abort.ts';
import type { Shard } from './shard.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Shards on their way together, for whoever asks for one of them. Stops when nobody waits any more. */
export class Transfer {
  readonly #abort = new AbortController();
  readonly #result: Promise<ReadonlyMap<string, Bytes>>;
  #readers = 0;

  /** @param onEnd called once, when the result is there or nobody waits for it */
  constructor(
    run: (signal: AbortSignal) => Promise<ReadonlyMap<string, Bytes>>,
    readonly onEnd: () => void,
  ) {
    this.#result = run(this.#abort.signal).finally(onEnd);
    this.#result.catch(() => {});
  }

  async wait(shard: Shard, signal: AbortSignal | undefined): Promise<Bytes> {
    this.#readers++;
    try {
      const bytes = (await abortable(this.#result, signal)).get(shard.id);
      if (!bytes) throw new TypeError(`shard ${shard.id} is not part of this transfer`);
      return bytes;
    } finally {
      if (--this.#readers === 0) {
        this.onEnd();
        this.#abort.abort();
      }
    }
  }
}

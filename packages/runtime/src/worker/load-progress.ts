import type { ProgressEvent } from '../api/types.ts';
import type { Shard } from '../shards/shard.ts';

/**
 * Progress of loading. Shards go to the GPU while others are fetched, and only fetching is reported then; once all
 * are fetched, the uploads that are left are.
 */
export class LoadProgress {
  #last: ProgressEvent = { phase: 'header', bytes: 0, bytesTotal: 0, shards: 0, shardsTotal: 0, bytesFromStore: 0 };
  /** Uploaded so far. */
  #bytes = 0;
  #shards = 0;

  constructor(readonly onProgress: ((event: ProgressEvent) => void) | undefined) {}

  /** For the loader, whose progress this passes on. */
  readonly onFetch = (event: ProgressEvent): void => {
    // The loader's last word comes after the last upload.
    if (this.#last.phase !== 'upload') this.#report(event);
  };

  /** A shard has been uploaded. */
  addUploaded(shard: Shard): void {
    this.#bytes += shard.byteLength;
    this.#shards++;
    const { phase, bytes, bytesTotal } = this.#last;
    const isFetched = phase === 'fetch' && bytes === bytesTotal;
    // Many shards are small: less than a percent tells a person nothing.
    const isNews = this.#bytes === bytesTotal || this.#bytes - bytes > bytesTotal / 100;
    if (isFetched || (phase === 'upload' && isNews)) this.#report({ ...this.#last, phase: 'upload', bytes: this.#bytes, shards: this.#shards });
  }

  /** For the phases in which nothing is counted, and for a header that is there already. */
  enter(phase: 'header' | 'compile' | 'ready'): void {
    this.#report({ ...this.#last, phase });
  }

  #report(event: ProgressEvent): void {
    this.#last = event;
    this.onProgress?.(event);
  }
}

import type { DownloadEvent } from '../api/types.ts';

/** Downloads while nothing else is asked of the model: from the end of an answer to the start of the next. */
export class WarmUp {
  #answers = 0;
  #running: AbortController | undefined;
  #isDone = false;

  /** @param download goes on from where the last one was stopped */
  constructor(
    readonly download: (signal: AbortSignal, onEvent: (event: DownloadEvent) => void) => Promise<void>,
    readonly onEvent: (event: DownloadEvent) => void,
  ) {}

  /** An answer begins: the network and the GPU are its own. */
  pause(): void {
    this.#answers++;
    this.#running?.abort();
  }

  /** An answer has ended. */
  resume(): void {
    if (--this.#answers > 0 || this.#isDone) return;
    const running = new AbortController();
    this.#running = running;
    this.download(running.signal, this.onEvent).then(
      () => (this.#isDone = true),
      // Stopped by an answer, or for now without a network: the end of the next answer is another chance.
      () => {},
    );
  }

  stop(): void {
    this.#isDone = true;
    this.#running?.abort();
  }
}

import { Mutex } from '../mutex.ts';

/** Turns that whoever has one may leave for a while. */
export class Turns extends Mutex {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  override async run<T>(task: () => Promise<T>): Promise<T> {
    await this.#take();
    try {
      return await task();
    } finally {
      this.#leave();
    }
  }

  /** Lets others run until `wait` is over. Only within `run`, by whoever has the turn. */
  async pause<T>(wait: Promise<T>): Promise<T> {
    this.#leave();
    try {
      return await wait;
    } finally {
      await this.#take();
    }
  }

  async #take(): Promise<void> {
    if (this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken = false;
  }
}

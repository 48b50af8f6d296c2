/** Work that hangs on something which may go away: a GPU device, a worker. When it goes, all of the work is rejected at once. */
export class Lifeline {
  readonly #rejects = new Set<(reason: unknown) => void>();
  #end: { readonly reason: unknown } | undefined;

  get isCut(): boolean {
    return this.#end !== undefined;
  }

  /** Rejects what runs and whatever runs later. The first reason stays. */
  cut(reason: unknown): void {
    if (this.#end) return;
    this.#end = { reason };
    for (const reject of this.#rejects) reject(reason);
    this.#rejects.clear();
  }

  /** The work's outcome, or the reason of the cut where that comes first; does not begin after a cut. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const end = this.#end;
    if (end) return Promise.reject(end.reason);
    return new Promise<T>((resolve, reject) => {
      this.#rejects.add(reject);
      void work()
        .then(resolve, async (error: unknown) => {
          // What the cut broke may be told before the cut is.
          await new Promise((turn) => setTimeout(turn));
          reject(error);
        })
        .finally(() => this.#rejects.delete(reject));
    });
  }
}

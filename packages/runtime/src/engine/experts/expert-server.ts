import type { ComputeExperts, ExpertWork } from '../../mesh/expert-work.ts';
import { RefusedError, type Request } from '../../mesh/peer.ts';
import { GatefoldError } from '../../errors.ts';
import type { ExpertCompute } from './expert-compute.ts';

interface Waiting {
  readonly work: ExpertWork;
  readonly peer: string;
  readonly resolve: (sums: Float32Array<ArrayBuffer>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Does layer steps for peers. While one run is under way requests gather; those of one layer then run together, whoever sent them. */
export class ExpertServer {
  #waiting: Waiting[] = [];
  #running = false;
  /** Runs, and the requests that they answered. */
  runs = 0;
  answered = 0;

  /** @param relay does work of which others hold a part */
  constructor(
    readonly compute: ExpertCompute,
    readonly relay: ComputeExperts,
  ) {}

  answer(request: Request, peer: string): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#isSound(request.work)) return Promise.reject(new RefusedError(peer, 'failed'));
    const { work } = request;
    if (request.relay) return this.relay(work);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, peer, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  forget(peer: string, conversation?: number): void {
    // Experts keep nothing of a conversation; a peer that is gone needs no answers.
    if (conversation !== undefined) return;
    const gone = this.#waiting.filter((waiting) => waiting.peer === peer);
    this.#waiting = this.#waiting.filter((waiting) => waiting.peer !== peer);
    for (const { reject } of gone) reject(new RefusedError(peer, 'failed'));
  }

  /** Kernels check no index: nothing may ask for an expert that a layer does not have. */
  #isSound({ layer, counts, experts, weights }: ExpertWork): boolean {
    const moe = this.compute.moe(layer);
    return moe !== undefined && counts.every((count) => count <= moe.topK) && experts.every((expert) => expert < moe.experts) && weights.every(Number.isFinite);
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const { layer } = next.work;
      const batch = this.#waiting.filter(({ work }) => work.layer === layer);
      this.#waiting = this.#waiting.filter(({ work }) => work.layer !== layer);
      await this.#answer(batch);
    }
    this.#running = false;
  }

  async #answer(batch: readonly Waiting[]): Promise<void> {
    try {
      const sums = await this.compute.run(batch.map(({ work }) => work));
      this.runs++;
      this.answered += batch.length;
      for (const [i, { resolve }] of batch.entries()) resolve(sums[i] ?? new Float32Array(0));
    } catch (error) {
      // One request's missing expert is not the others' failure.
      if (batch.length > 1) for (const waiting of batch) await this.#answer([waiting]);
      else for (const { reject, peer } of batch) reject(new RefusedError(peer, error instanceof GatefoldError && error.code === 'experts-unavailable' ? 'unavailable' : 'failed'));
    }
  }
}

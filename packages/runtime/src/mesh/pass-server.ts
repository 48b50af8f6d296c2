import type { LayersWork, Whereabouts } from './frames.ts';
import { RefusedError, type LayersRequest } from './peer.ts';
import type { Peers } from './peers.ts';

/** Passes whose whereabouts are remembered. */
const REMEMBERED = 256;

/** Runs peers' passes through layers of ours, and sends each on: to the next of its route, or to its origin. */
export class PassServer {
  /** By origin and its number of the pass; the latest last. */
  readonly #passes = new Map<string, Whereabouts>();

  /** @param run gives the residual stream after our layers; throws `RefusedError` */
  constructor(
    readonly peers: Peers,
    readonly run: (work: LayersWork, origin: string) => Promise<Float32Array<ArrayBuffer>>,
  ) {}

  /** Throws where the origin cannot be told. */
  async take({ id, format, work }: LayersRequest, from: string): Promise<void> {
    const origin = work.origin || from;
    this.#note(origin, id, 'here');
    try {
      const rows = await this.run(work, origin);
      if (!(await this.#sendOn(id, format, { ...work, origin, route: work.route.slice(1), x: rows }))) {
        // The last one brings it home; and so does who can't reach the next, so that the origin goes on from there.
        await this.peers.get(origin)?.send({ kind: 'passed', id, format, end: work.route[0]?.end ?? 0, tokens: work.tokens, rows });
      }
    } catch (error) {
      await this.peers.get(origin)?.send({ kind: 'stopped', id, reason: error instanceof RefusedError ? error.reason : 'failed' });
    }
    this.#note(origin, id, 'on');
  }

  where(id: number, origin: string): Whereabouts {
    return this.#passes.get(`${origin} ${id}`) ?? 'unknown';
  }

  /** @returns whether the next of the route has been sent it */
  async #sendOn(id: number, format: LayersRequest['format'], work: LayersWork): Promise<boolean> {
    const next = this.peers.get(work.route[0]?.peer ?? '');
    if (!next) return false;
    return next.send({ kind: 'layers', id, format, work }).then(
      () => true,
      () => false,
    );
  }

  #note(origin: string, id: number, state: Whereabouts): void {
    const key = `${origin} ${id}`;
    this.#passes.delete(key);
    this.#passes.set(key, state);
    for (const oldest of this.#passes.keys()) if (this.#passes.size > REMEMBERED) this.#passes.delete(oldest);
  }
}

import { GatefoldError } from '../errors.ts';
import { noMeshCounts, type MeshCounts } from './mesh-counts.ts';

/** What has been computed from a position on rests on a peer that is not believed any more, and is to be computed again. */
export class RevisionError extends GatefoldError {
  override readonly name = 'RevisionError';
  constructor(
    /** First position whose keys and values, or token, may be wrong. */
    readonly position: number,
    readonly peer: string,
    readonly reason: string,
  ) {
    super('answer-revised', `What was computed from position ${position} on rests on peer ${peer}, which ${reason}; it is computed again.`, { position, peer, reason });
  }
}

interface Use {
  /** The exchange's number of the result; it rises. */
  readonly result: number;
  readonly position: number;
}

/** What one answer owes to its peers: which positions rest on results that no check has vouched for since. */
export class AnswerLedger {
  readonly counts: MeshCounts = noMeshCounts();
  readonly #unchecked = new Map<string, Use[]>();
  #revision: RevisionError | undefined;

  /** A pass whose first token is at `position` has used a peer's result. */
  use(peer: string, result: number, position: number): void {
    const uses = this.#unchecked.get(peer) ?? [];
    if (uses.length === 0) this.#unchecked.set(peer, uses);
    // A position is vouched for when the last result that it rests on is.
    if (uses.at(-1)?.position === position) uses.pop();
    uses.push({ result, position });
  }

  /** A peer's result was right: so are, as far as anybody knows, those before. */
  vouch(peer: string, result: number): void {
    const uses = this.#unchecked.get(peer)?.filter((use) => use.result > result) ?? [];
    this.#unchecked.set(peer, uses);
  }

  /** A peer is banned: what rests on it must be computed again. */
  distrust(peer: string, reason: string): void {
    const uses = this.#unchecked.get(peer) ?? [];
    this.#unchecked.delete(peer);
    this.counts.bans.push({ peer, reason });
    if (uses.length > 0) this.revise(Math.min(...uses.map(({ position }) => position)), peer, reason);
  }

  /** From this position on all is to be computed again. */
  revise(position: number, peer: string, reason: string): void {
    if (position < (this.#revision?.position ?? Infinity)) this.#revision = new RevisionError(position, peer, reason);
  }

  /** Throws `RevisionError`, once, where something must be computed again. */
  check(): void {
    const revision = this.#revision;
    this.#revision = undefined;
    if (!revision) return;
    this.counts.revisions++;
    throw revision;
  }
}

import { LinkClosedError } from '../../src/mesh/errors.ts';
import type { LinkHandlers, PeerLink } from '../../src/mesh/link.ts';

export interface LinkConditions {
  /** Milliseconds that a frame takes. */
  delayMs?: number;
  /** Frames stay on their way as long as this is true. */
  isFrozen?: boolean;
  /** Changes a frame on its way. */
  corrupt?: (frame: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

/** One end of a connection in memory. */
export class MemoryLink implements PeerLink {
  readonly bufferedBytes = 0;
  /** Of frames that this end sends; may be changed at any time. */
  readonly conditions: LinkConditions = {};
  readonly sent: Uint8Array<ArrayBuffer>[] = [];
  #handlers: LinkHandlers | undefined;
  readonly #early: Uint8Array<ArrayBuffer>[] = [];
  readonly #held: Uint8Array<ArrayBuffer>[] = [];
  #other: MemoryLink | undefined;
  #closed: string | undefined;

  private constructor(readonly peer: string) {}

  /** Both ends: the one that `a` has, whose peer is `b`, and the other one. */
  static pair(a: string, b: string): readonly [atA: MemoryLink, atB: MemoryLink] {
    const [atA, atB] = [new MemoryLink(b), new MemoryLink(a)];
    [atA.#other, atB.#other] = [atB, atA];
    return [atA, atB];
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    for (const frame of this.#early.splice(0)) handlers.onFrame(frame);
  }

  async send(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
    this.sent.push(frame);
    this.#held.push(this.conditions.corrupt?.(frame.slice()) ?? frame.slice());
    setTimeout(() => this.#flush(), this.conditions.delayMs ?? 0);
  }

  close(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#end(reason);
    const other = this.#other;
    setTimeout(() => other && other.#end(reason), 0);
  }

  /** Lets go what is held. */
  thaw(): void {
    this.conditions.isFrozen = false;
    while (this.#held.length > 0) this.#flush();
  }

  #flush(): void {
    if (this.conditions.isFrozen) return;
    const frame = this.#held.shift();
    const other = this.#other;
    if (frame && other) other.#take(frame);
  }

  #take(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#closed !== undefined) return;
    if (this.#handlers) this.#handlers.onFrame(frame);
    else this.#early.push(frame);
  }

  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#handlers?.onClose(reason);
  }
}

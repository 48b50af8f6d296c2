import type { IceCandidate, SignalMessage } from '../signalling/messages.ts';
import { candidateOf, type PeerConnectionLike } from './peer-connection.ts';

/** One attempt's way of signals to the other side. */
export interface SignalPath {
  readonly connection: string;
  send(message: SignalMessage): void;
}

/** One side of an offer, its answer, and the candidates of both. */
export class Negotiation {
  /** The other's candidates, which came before its description. */
  readonly #early: IceCandidate[] = [];
  /**
   * Our own, until we have the other's description: it can't try to reach us before. libdatachannel fails when it is
   * reached while it takes a description.
   */
  readonly #held: IceCandidate[] = [];
  #described = false;
  #last: Promise<void> = Promise.resolve();

  constructor(
    readonly connection: PeerConnectionLike,
    readonly path: SignalPath,
  ) {
    connection.addEventListener('icecandidate', (event) => {
      const found = candidateOf(event);
      if (!found) return;
      if (this.#described) this.#send({ candidate: found });
      else this.#held.push(found);
    });
  }

  offer(): Promise<void> {
    return this.#inOrder(async () => {
      await this.connection.setLocalDescription(await this.connection.createOffer());
      this.#describe('offer');
    });
  }

  /** Takes what the other side sends; rejects for what the browser refuses. */
  receive(message: SignalMessage): Promise<void> {
    return this.#inOrder(async () => {
      if ('description' in message) await this.#take(message.description);
      else if (this.#described) await this.connection.addIceCandidate(message.candidate);
      else this.#early.push(message.candidate);
    });
  }

  async #take(description: RTCSessionDescriptionInit): Promise<void> {
    await this.connection.setRemoteDescription(description);
    if (description.type === 'offer') {
      await this.connection.setLocalDescription(await this.connection.createAnswer());
      this.#describe('answer');
    }
    this.#described = true;
    for (const candidate of this.#held.splice(0)) this.#send({ candidate });
    for (const candidate of this.#early.splice(0)) await this.connection.addIceCandidate(candidate);
  }

  #describe(type: 'offer' | 'answer'): void {
    // Candidates go by themselves. The offerer begins DTLS: it is the first that can be sure that the other side listens.
    const sdp = this.connection.localDescription?.sdp.replace('a=setup:actpass', 'a=setup:active').replace(/^a=(candidate:|end-of-candidates).*\r?\n/gm, '');
    if (sdp !== undefined) this.#send({ description: { type, sdp } });
  }

  #send(part: DistributiveOmit<SignalMessage, 'connection'>): void {
    this.path.send({ connection: this.path.connection, ...part });
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => {});
    return done;
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

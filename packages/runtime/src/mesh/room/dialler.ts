import { AdmissionError } from '../errors.ts';
import { randomHex } from '../hex.ts';
import type { SignalMessage } from '../signalling/messages.ts';
import type { Signalling } from '../signalling/signalling.ts';
import { Connection, type ConnectionOptions } from '../transport/connection.ts';
import { Negotiation } from '../transport/negotiate.ts';

/** Attempts of others that are under way at once: strangers may knock, but not without end. */
const MAX_KNOCKING = 16;

interface Attempt {
  readonly peer: string;
  readonly connection: Connection;
  readonly negotiation: Negotiation;
  /** Rejects when `fail` is called. */
  readonly failed: Promise<never>;
  readonly fail: (error: AdmissionError) => void;
}

/** Makes connections to others, and takes theirs, over a way of signals. Nobody is authenticated here. */
export class Dialler {
  readonly #attempts = new Map<string, Attempt>();
  #knocking = 0;

  /** @param accept takes a connection that somebody else began; when its promise settles the attempt is over */
  constructor(
    readonly signalling: Signalling,
    readonly options: ConnectionOptions,
    readonly accept: (connection: Connection) => Promise<void>,
    readonly onClose: (error: Error) => void,
  ) {
    signalling.listen({
      onMessage: (from, message) => this.#receive(from, message),
      onAbsent: (peer) => this.#absent(peer),
      onClose,
    });
  }

  /** @returns an open connection. Throws `PeerConnectionError`, and `AdmissionError` where nobody of that name is there. */
  async dial(peer: string): Promise<Connection> {
    const id = randomHex(8);
    const { connection, negotiation, failed } = this.#begin(peer, id);
    try {
      await Promise.race([negotiation.offer().then(() => connection.opened()), failed]);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      this.#attempts.delete(keyOf(peer, id));
    }
  }

  close(): void {
    this.signalling.close();
    for (const { connection } of this.#attempts.values()) connection.close();
    this.#attempts.clear();
  }

  #begin(peer: string, id: string): Attempt {
    let fail: Attempt['fail'] = () => {};
    const failed = new Promise<never>((_, reject) => (fail = reject));
    failed.catch(() => {});
    const connection = new Connection(peer, this.options);
    const negotiation = new Negotiation(connection.rtc, { connection: id, send: (message) => this.signalling.send(peer, message) });
    const attempt = { peer, connection, negotiation, failed, fail };
    this.#attempts.set(keyOf(peer, id), attempt);
    return attempt;
  }

  #receive(from: string, message: SignalMessage): void {
    const known = this.#attempts.get(keyOf(from, message.connection));
    // What the browser refuses leaves the attempt without a connection, and so lets it time out.
    if (known) known.negotiation.receive(message).catch(() => {});
    else if ('description' in message && message.description.type === 'offer') void this.#answer(from, message);
  }

  async #answer(from: string, offer: SignalMessage): Promise<void> {
    if (this.#knocking >= MAX_KNOCKING) return;
    this.#knocking++;
    const { connection, negotiation } = this.#begin(from, offer.connection);
    try {
      await Promise.all([negotiation.receive(offer), connection.opened()]);
      await this.accept(connection);
    } catch {
      // Whoever knocked and did not come in is no concern of the room's.
      connection.close();
    } finally {
      this.#attempts.delete(keyOf(from, offer.connection));
      this.#knocking--;
    }
  }

  #absent(peer: string): void {
    for (const attempt of this.#attempts.values()) if (attempt.peer === peer) attempt.fail(new AdmissionError('absent'));
  }
}

const keyOf = (peer: string, connection: string) => `${peer} ${connection}`;

import { LinkClosedError, PeerConnectionError } from '../errors.ts';
import { randomHex } from '../hex.ts';
import type { LinkLimits } from '../limits.ts';
import type { LinkHandlers, PeerLink } from '../link.ts';
import type { SignalMessage } from '../signalling/messages.ts';
import { ChannelLink } from '../transport/channel-link.ts';
import type { ConnectionOptions } from '../transport/connection.ts';
import { Negotiation } from '../transport/negotiate.ts';
import type { PeerConnectionLike } from '../transport/peer-connection.ts';

/**
 * A connection of its own to a peer for what is large and not urgent, so that activations never queue behind it. It
 * comes about with the first frame, from either side. Its descriptions go over the control channel of the first
 * connection, which is authenticated; so its DTLS fingerprints are, too.
 */
export class BulkLink implements PeerLink {
  readonly #negotiations = new Map<string, Negotiation>();
  readonly #connections: PeerConnectionLike[] = [];
  #link: Promise<ChannelLink> | undefined;
  #open: ChannelLink | undefined;
  #handlers: LinkHandlers | undefined;
  #closed: string | undefined;

  /** @param signal sends to the peer, whose `receive` takes it */
  constructor(
    readonly peer: string,
    readonly options: ConnectionOptions,
    readonly limits: LinkLimits,
    readonly signal: (message: SignalMessage) => void,
  ) {}

  get bufferedBytes(): number {
    return this.#open?.bufferedBytes ?? 0;
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    if (this.#closed !== undefined) handlers.onClose(this.#closed);
  }

  async send(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
    this.#link ??= this.#dial();
    await (await this.#link).send(frame);
  }

  close(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const connection of this.#connections) connection.close();
    this.#handlers?.onClose(reason);
  }

  /** Takes what the peer's side sends. */
  receive(message: SignalMessage): void {
    const known = this.#negotiations.get(message.connection);
    // What the browser refuses leaves no connection.
    if (known) known.receive(message).catch(() => {});
    else if ('description' in message && message.description.type === 'offer' && this.#negotiations.size < 2) {
      const { negotiation, link } = this.#begin(message.connection);
      // Both sides may begin at once; each then answers where it was asked, or here.
      this.#link ??= link;
      negotiation.receive(message).catch(() => {});
    }
  }

  #dial(): Promise<ChannelLink> {
    const { negotiation, link } = this.#begin(randomHex(8));
    negotiation.offer().catch(() => {});
    return link;
  }

  #begin(id: string): { readonly negotiation: Negotiation; readonly link: Promise<ChannelLink> } {
    const connection = (this.options.createConnection ?? ((configuration) => new RTCPeerConnection(configuration)))({ iceServers: [...(this.options.iceServers ?? [])] });
    this.#connections.push(connection);
    const negotiation = new Negotiation(connection, { connection: id, send: this.signal });
    this.#negotiations.set(id, negotiation);
    const channel = connection.createDataChannel('bulk', { negotiated: true, id: 0, ordered: false });
    const opened = new ChannelLink(this.peer, channel, this.limits, (reason) => this.close(reason));
    // Whoever listens, listens before it sends: what comes to nobody was not asked for.
    opened.listen({ onFrame: (frame) => this.#handlers?.onFrame(frame), onClose: () => {} });
    const link = new Promise<ChannelLink>((resolve, reject) => {
      channel.addEventListener('open', () => {
        this.#open = opened;
        resolve(opened);
      });
      connection.addEventListener('connectionstatechange', () => {
        if (connection.connectionState !== 'failed' && connection.connectionState !== 'closed') return;
        reject(new PeerConnectionError(this.peer, 'no second connection came about'));
        this.close('its connection is gone');
      });
    });
    link.catch(() => {});
    return { negotiation, link };
  }
}

// The page owns connections, the worker the engine. Where the browser can transfer an RTCDataChannel it goes into a port as
// soon as it is made, and the port to the worker when the peer has shown its right to be in the room; what comes meanwhile
// waits in the channel. No frame passes through the page then.
import { LinkClosedError } from '../errors.ts';
import type { LinkLimits } from '../limits.ts';
import type { LinkHandlers, PeerLink } from '../link.ts';
import { ChannelLink } from './channel-link.ts';
import { ConditionedChannel, type LinkConditions } from './conditions.ts';
import type { MessageChannelLike } from './message-channel.ts';

/** What both ends of a moved link tell each other. */
type Told = { readonly close: string; readonly isViolation?: boolean } | { readonly roundTripsMs: readonly number[] };

/** Both ends of the port that a channel has been put into. */
export interface MovedChannel {
  readonly here: MessagePort;
  /** Goes to the worker. */
  readonly there: MessagePort;
  /** Those that are put on top of its own, over there. */
  readonly conditions: LinkConditions | undefined;
}

/** @param channel that has just been made @returns undefined where it cannot be moved; it is then as it was */
export function moveChannel(channel: MessageChannelLike, conditions?: LinkConditions): MovedChannel | undefined {
  if (typeof RTCDataChannel === 'undefined' || !(channel instanceof RTCDataChannel)) return undefined;
  const { port1: here, port2: there } = new MessageChannel();
  try {
    here.postMessage(channel, [channel]);
    return { here, there, conditions };
  } catch {
    return undefined;
  }
}

/** The page's stand-in for a link whose channel is at the worker: it can only be closed. */
export class MovedLink implements PeerLink {
  readonly bufferedBytes = 0;
  #handlers: LinkHandlers | undefined;
  #closed: string | undefined;

  /** @param onClose as of `ChannelLink` */
  constructor(
    readonly peer: string,
    readonly ports: MovedChannel,
    readonly onClose: (reason: string, violation?: unknown) => void,
  ) {
    ports.here.addEventListener('message', ({ data }: MessageEvent<Told>) => {
      if ('close' in data) this.#close(data.close, data.isViolation ? data.close : undefined);
    });
    ports.here.start();
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    if (this.#closed !== undefined) handlers.onClose(this.#closed);
  }

  send(): Promise<void> {
    return Promise.reject(new LinkClosedError(this.peer, 'its channel is at the worker'));
  }

  /** What is measured of the connection. */
  tell(roundTripsMs: readonly number[]): void {
    this.#post({ roundTripsMs });
  }

  close(reason: string): void {
    this.#post({ close: reason });
    this.#close(reason);
  }

  #close(reason: string, violation?: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.ports.here.close();
    this.#handlers?.onClose(reason);
    this.onClose(reason, violation);
  }

  #post(told: Told): void {
    this.ports.here.postMessage(told, []);
  }
}

/** The worker's end: the link itself, once the channel has come out of the port. */
export class ArrivedLink implements PeerLink {
  /** What the page has measured. */
  roundTripsMs: readonly number[] = [];
  readonly #link: Promise<ChannelLink>;
  #arrived: ChannelLink | undefined;
  #handlers: LinkHandlers | undefined;
  #closed: string | undefined;

  constructor(
    readonly peer: string,
    readonly port: MessagePort,
    limits: LinkLimits,
    conditions?: LinkConditions,
  ) {
    this.#link = new Promise((arrived) => {
      port.addEventListener('message', ({ data }: MessageEvent<Told | MessageChannelLike>) => {
        if ('roundTripsMs' in data) this.roundTripsMs = data.roundTripsMs;
        else if (!('send' in data)) this.close(data.close);
        else {
          this.#arrived = new ChannelLink(peer, conditions ? new ConditionedChannel(data, conditions, false) : data, limits, (reason, error) => {
            this.#closed = reason;
            this.#handlers?.onClose(reason);
            port.postMessage({ close: reason, isViolation: error !== undefined } satisfies Told);
          });
          this.#arrived.listen({ onFrame: (frame) => this.#handlers?.onFrame(frame), onClose: () => {} });
          arrived(this.#arrived);
        }
      });
    });
  }

  get bufferedBytes(): number {
    return this.#arrived?.bufferedBytes ?? 0;
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    // Nothing has come out of the port before.
    this.port.start();
  }

  async send(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
    await (await this.#link).send(frame);
  }

  close(reason: string): void {
    if (this.#arrived) return this.#arrived.close(reason);
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#handlers?.onClose(reason);
  }
}

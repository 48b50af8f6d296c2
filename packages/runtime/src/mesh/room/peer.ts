import { Heartbeat } from '../heartbeat.ts';
import type { LinkLimits } from '../limits.ts';
import type { PeerLink } from '../link.ts';
import { readHello, type LinkStats, type PeerHello, type RoomPeer } from '../membership.ts';
import { parseSignal } from '../signalling/messages.ts';
import { ChannelLink } from '../transport/channel-link.ts';
import type { Connection, ConnectionOptions } from '../transport/connection.ts';
import type { ControlMessage } from '../transport/control-channel.ts';
import { MovedLink } from '../transport/moved-link.ts';
import { BulkLink } from './bulk-link.ts';

/** How a peer went: one of both sides wanted it, nobody did, or the peer broke the rules. */
export type PeerEnd = 'left' | 'lost' | 'violation';

/** A connection whose other end has shown its right to be in the room. */
export class ConnectedPeer implements RoomPeer {
  readonly link: PeerLink;
  readonly bulk: BulkLink;
  #heartbeat: Heartbeat | undefined;
  hello: PeerHello = readHello({});
  #end: { readonly reason: string; readonly how: PeerEnd } | undefined;
  #onEnd: ((reason: string, how: PeerEnd) => void) | undefined;

  constructor(
    readonly name: string,
    readonly connection: Connection,
    /** Whether we began it: then it is on us to begin another one when it is lost. */
    readonly isOurs: boolean,
    limits: LinkLimits,
    options: ConnectionOptions,
  ) {
    this.bulk = new BulkLink(name, options, limits, (signal) => connection.control.send({ type: 'signal', signal }));
    const onClose = (reason: string, error?: unknown) => this.end(reason, error);
    this.link = connection.moved ? new MovedLink(name, connection.moved, onClose) : new ChannelLink(name, connection.frames, limits, onClose);
  }

  stats(): LinkStats {
    return { roundTripsMs: [...(this.#heartbeat?.roundTripsMs ?? [])] };
  }

  /**
   * Begins heart-beats.
   * @param onMessage gets what is no heart-beat
   * @param onEnd once, when the peer is gone
   */
  begin(onMessage: (message: ControlMessage) => void, onEnd: (reason: string, how: PeerEnd) => void): void {
    this.#onEnd = onEnd;
    const { control } = this.connection;
    const heartbeat = new Heartbeat(control, () => this.end('it does not answer any more'));
    this.#heartbeat = heartbeat;
    control.listen({
      onMessage: (message) => {
        if (message['type'] === 'bye') this.#finish(typeof message['reason'] === 'string' ? message['reason'].slice(0, 200) : 'it left', 'left');
        else if (message['type'] === 'signal') this.bulk.receive(parseSignal(message['signal']));
        else if (!heartbeat.receive(message)) onMessage(message);
      },
      onClose: (error) => this.end(error === undefined ? 'its connection is gone' : textOf(error), error),
    });
    if (this.#end) onEnd(this.#end.reason, this.#end.how);
  }

  /** Takes leave. */
  leave(reason: string): void {
    this.connection.control.send({ type: 'bye', reason });
    this.#finish(reason, 'left');
  }

  /** @param violation what it did against the rules */
  end(reason: string, violation?: unknown): void {
    this.#finish(reason, violation === undefined ? 'lost' : 'violation');
  }

  #finish(reason: string, how: PeerEnd): void {
    if (this.#end) return;
    this.#end = { reason, how };
    this.#heartbeat?.stop();
    this.link.close(reason);
    this.bulk.close(reason);
    if (how === 'violation') this.connection.cut();
    else this.connection.close();
    this.#onEnd?.(reason, how);
  }
}

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

import type { MeshState } from '../../api/mesh.ts';
import { FrameTooLargeError, LinkClosedError } from '../errors.ts';
import type { LinkHandlers, PeerLink } from '../link.ts';
import type { Membership, MembershipHandlers } from '../membership.ts';
import { ArrivedLink } from '../transport/moved-link.ts';
import { typedPort, type EngineMessage, type LinkMessage, type RoomMessage, type SendMessage, type TypedPort } from './messages.ts';

/** Bytes on their way to the page before `send` waits. */
const HIGH_WATER = 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

/** A room whose connections are at the other end of a port (`roomToPort`). */
export class PortMembership implements Membership {
  readonly #port: TypedPort<EngineMessage, RoomMessage>;

  constructor(
    port: MessagePort,
    readonly self: string,
    readonly isHost: boolean,
    readonly state: () => MeshState,
    /** The room has been left. */
    readonly onClosed: () => void,
  ) {
    this.#port = typedPort(port);
  }

  listen({ onJoin, onLeave }: MembershipHandlers): void {
    this.#port.listen((message) => {
      if ('askState' in message) return this.#port.post({ state: this.state() });
      if ('closed' in message) {
        this.#port.close();
        return this.onClosed();
      }
      if ('left' in message) return onLeave(message.left.name, message.left.reason);
      const { name, hello, limits, port, isMoved, conditions, bulk } = message.joined;
      const link = isMoved ? new ArrivedLink(name, port, limits, conditions) : new PortLink(name, limits.maxFrameBytes, typedPort(port));
      onJoin({ name, hello, link, bulk: new PortLink(name, limits.maxFrameBytes, typedPort(bulk)), stats: () => ({ roundTripsMs: link.roundTripsMs }) });
    });
  }

  ban(name: string, reason: string): void {
    this.#port.post({ ban: { name, reason } });
  }

  close(): void {
    this.#port.post({ close: true });
  }
}

class PortLink implements PeerLink {
  /** What the page has measured. */
  roundTripsMs: readonly number[] = [];
  #handlers: LinkHandlers | undefined;
  readonly #waiting: Bytes[] = [];
  #closed: string | undefined;
  #underWay = 0;
  #wake: (() => void)[] = [];

  constructor(
    readonly peer: string,
    readonly maxFrameBytes: number,
    readonly port: TypedPort<SendMessage, LinkMessage>,
  ) {
    port.listen((message) => this.#receive(message));
  }

  get bufferedBytes(): number {
    return this.#underWay;
  }

  listen(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    for (const frame of this.#waiting.splice(0)) handlers.onFrame(frame);
    if (this.#closed !== undefined) handlers.onClose(this.#closed);
  }

  async send(frame: Bytes): Promise<void> {
    if (frame.length > this.maxFrameBytes) throw new FrameTooLargeError(frame.length, this.maxFrameBytes);
    if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
    // The sender may need its bytes again.
    const copy = frame.slice();
    this.#underWay += frame.length;
    this.port.post({ frame: copy }, [copy.buffer]);
    while (this.#underWay > HIGH_WATER) {
      await new Promise<void>((woken) => this.#wake.push(woken));
      if (this.#closed !== undefined) throw new LinkClosedError(this.peer, this.#closed);
    }
  }

  close(reason: string): void {
    if (this.#closed === undefined) this.port.post({ close: reason });
    this.#end(reason);
  }

  #receive(message: LinkMessage): void {
    if ('frame' in message) {
      if (this.#handlers) this.#handlers.onFrame(message.frame);
      else this.#waiting.push(message.frame);
    } else if ('taken' in message) {
      this.#underWay -= message.taken;
      this.#wakeAll();
    } else if ('closed' in message) {
      this.#end(message.closed);
      this.port.close();
    } else {
      this.roundTripsMs = message.roundTripsMs;
    }
  }

  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#wakeAll();
    this.#handlers?.onClose(reason);
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

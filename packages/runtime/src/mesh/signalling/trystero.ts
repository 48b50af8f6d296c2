import type { MessageAction, Room } from '@trystero-p2p/nostr';
import { SignallingError } from '../errors.ts';
import { isHex128 } from '../hex.ts';
import { MAX_MESSAGE_CHARACTERS, parseRecord, parseSignal } from './messages.ts';
import type { OpenSignalling, Signalling, SignallingHandlers } from './signalling.ts';

/** Peers of a serverless network come when they come: so long may a message wait for the one that it is for. */
const PATIENCE_MS = 30_000;

export interface TrysteroOptions {
  /** Nostr relays, wss: addresses. There is no default: whose relays are used is not ours to choose. */
  readonly relayUrls: readonly string[];
  /** For Trystero's own connections, over which the signals go; none by default. */
  readonly iceServers?: readonly RTCIceServer[];
}

/**
 * Rooms without a relay of one's own: peers meet by public Nostr relays (the library Trystero, loaded when it is used) and
 * pass signals on over connections that Trystero makes. What comes that way is believed as little as what a relay says.
 * Use it as `signalling` of `mesh.open` and `mesh.join`, with any text as `relay`.
 * Throws `SignallingError` where there are no relays.
 */
export function trysteroSignalling({ relayUrls, iceServers = [] }: TrysteroOptions): OpenSignalling {
  return async (room, self) => {
    if (relayUrls.length === 0) throw new SignallingError('of Nostr', 'no relayUrls are given');
    const { joinRoom } = await import('@trystero-p2p/nostr');
    const joined = joinRoom(
      {
        appId: 'gatefold',
        relayConfig: { urls: [...relayUrls], redundancy: relayUrls.length },
        rtcConfig: { iceServers: [...iceServers] },
      },
      room,
    );
    return new TrysteroRoom(joined, self);
  };
}

class TrysteroRoom implements Signalling {
  readonly #messages: MessageAction<string>;
  /** Trystero's ids by our names. */
  readonly #ids = new Map<string, string>();
  readonly #waiting = new Map<string, { readonly texts: string[]; readonly timer: ReturnType<typeof setTimeout> }>();
  #handlers: SignallingHandlers | undefined;

  constructor(
    readonly room: Room,
    readonly self: string,
  ) {
    this.#messages = room.makeAction<string>('signal', { onMessage: (text, { peerId }) => this.#receive(text, peerId) });
    room.onPeerJoin = (id) => this.#post(id, JSON.stringify({ name: self }));
    room.onPeerLeave = (id) => {
      for (const [name, other] of this.#ids) if (other === id) this.#ids.delete(name);
    };
  }

  listen(handlers: SignallingHandlers): void {
    this.#handlers = handlers;
  }

  send(to: string, message: object): void {
    const text = JSON.stringify({ message });
    const id = this.#ids.get(to);
    if (id !== undefined) return this.#post(id, text);
    const waiting = this.#waiting.get(to) ?? { texts: [], timer: setTimeout(() => this.#giveUp(to), PATIENCE_MS) };
    waiting.texts.push(text);
    this.#waiting.set(to, waiting);
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.room.leave().catch(() => {});
  }

  #post(id: string, text: string): void {
    // Whoever has left meanwhile is as good as absent.
    this.#messages.send(text, { target: id }).catch(() => {});
  }

  #receive(text: unknown, id: string): void {
    try {
      if (typeof text !== 'string' || text.length > MAX_MESSAGE_CHARACTERS) return;
      const { name, message } = parseRecord(text);
      if (isHex128(name)) return this.#meet(name, id);
      for (const [from, other] of this.#ids) if (other === id) this.#handlers?.onMessage(from, parseSignal(message));
    } catch {
      // Anybody may say anything here.
    }
  }

  /** The first that claims a name has it; whether it is that peer's the handshake shows. */
  #meet(name: string, id: string): void {
    if (this.#ids.has(name)) return;
    this.#ids.set(name, id);
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    clearTimeout(waiting?.timer);
    for (const text of waiting?.texts ?? []) this.#post(id, text);
  }

  #giveUp(name: string): void {
    this.#waiting.delete(name);
    this.#handlers?.onAbsent(name);
  }
}

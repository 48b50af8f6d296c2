import { MalformedFrameError, PeerLimitError } from '../errors.ts';
import { MAX_MESSAGE_CHARACTERS, parseRecord } from '../signalling/messages.ts';
import { dataOf, type MessageChannelLike } from './message-channel.ts';
import { RateLimit } from './rate-limit.ts';

/** Heart-beats, a handshake, and what a bulk connection needs to come about. */
const MESSAGES_PER_SECOND = 200;
/** Messages that nobody has taken yet. */
const MAX_WAITING = 64;

export type ControlMessage = Readonly<Record<string, unknown>>;

export interface ControlHandlers {
  /** What it throws closes the channel, as a violation. */
  readonly onMessage: (message: ControlMessage) => void;
  /** Once; with an error where the peer broke the rules. */
  readonly onClose: (error?: unknown) => void;
}

/** JSON messages over an ordered channel: handshake, membership, heart-beats. */
export class ControlChannel {
  readonly #closing = new AbortController();
  readonly #rate = new RateLimit(MESSAGES_PER_SECOND);
  #handlers: ControlHandlers | undefined;
  #waiting: ControlMessage[] = [];
  #wake = () => {};
  #end: { readonly error: unknown } | undefined;

  constructor(readonly channel: MessageChannelLike) {
    const { signal } = this.#closing;
    channel.addEventListener('message', (event) => this.#receive(dataOf(event)), { signal });
    channel.addEventListener('close', () => this.#close(undefined), { signal });
    channel.addEventListener('error', () => this.#close(undefined), { signal });
  }

  /** The next message, before there are handlers; undefined where the channel is closed. Throws what closed it. */
  async next(): Promise<ControlMessage | undefined> {
    while (this.#waiting.length === 0 && !this.#end) await new Promise<void>((woken) => (this.#wake = woken));
    const message = this.#waiting.shift();
    if (!message && this.#end?.error !== undefined) throw this.#end.error;
    return message;
  }

  /** Tells the handlers what `next` has not taken, and all that comes. */
  listen(handlers: ControlHandlers): void {
    this.#handlers = handlers;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const message of waiting) this.#tell(message);
    if (this.#end) handlers.onClose(this.#end.error);
  }

  /** Nothing happens where the channel is closed. */
  send(message: ControlMessage): void {
    if (this.#end) return;
    try {
      this.channel.send(JSON.stringify(message));
    } catch {
      // It has closed, and the event that tells is still on its way.
      this.#close(undefined);
    }
  }

  /** Nothing is sent or heard any more. The connection's owner closes what lies below. */
  close(): void {
    this.#close(undefined);
  }

  #receive(data: unknown): void {
    try {
      if (!this.#rate.take(1)) throw new PeerLimitError('messages a second', MESSAGES_PER_SECOND);
      if (typeof data !== 'string' || data.length > MAX_MESSAGE_CHARACTERS) throw new MalformedFrameError('a control message that is too long, or no text');
      const message = parseRecord(data);
      if (this.#handlers) this.#tell(message);
      else if (this.#waiting.push(message) > MAX_WAITING) throw new PeerLimitError('bytes in memory', MAX_WAITING * MAX_MESSAGE_CHARACTERS);
      this.#wake();
    } catch (error) {
      this.#close(error);
    }
  }

  #tell(message: ControlMessage): void {
    try {
      this.#handlers?.onMessage(message);
    } catch (error) {
      this.#close(error);
    }
  }

  #close(error: unknown): void {
    if (this.#end) return;
    this.#end = { error };
    this.#closing.abort();
    this.#wake();
    this.#handlers?.onClose(error);
  }
}

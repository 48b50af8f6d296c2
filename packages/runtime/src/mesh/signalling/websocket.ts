import { SignallingError } from '../errors.ts';
import { randomHex } from '../hex.ts';
import { parseRecord, parseSignal } from './messages.ts';
import type { OpenSignalling, Signalling, SignallingHandlers } from './signalling.ts';

/** Pauses before a lost relay is tried again. */
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 16_000, 30_000];

/** What is needed of a WebSocket: the browser's, or in Node before 22 that of the package `ws`. */
export interface SocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

/**
 * By the relay of `gatefold relay`.
 * @param relay its ws: or wss: address @param openSocket where there is no `WebSocket`, or another is to be used
 */
export function webSocketSignalling(relay: string, openSocket: (url: string) => SocketLike = (url) => new WebSocket(url)): OpenSignalling {
  return async (room, self) => {
    if (!URL.canParse(relay) || !/^wss?:/.test(relay)) throw new SignallingError(relay, 'this is no ws: or wss: address');
    const url = new URL(relay);
    // Only whoever entered a name first may take it over again.
    for (const [name, value] of Object.entries({ room, peer: self, owner: randomHex(16) })) url.searchParams.set(name, value);
    const signalling = new RelaySignalling(relay, () => openSocket(url.href));
    await signalling.connect();
    return signalling;
  };
}

class RelaySignalling implements Signalling {
  #socket: SocketLike | undefined;
  #handlers: SignallingHandlers | undefined;
  #isClosed = false;
  #failures = 0;

  constructor(
    readonly relay: string,
    readonly open: () => SocketLike,
  ) {}

  listen(handlers: SignallingHandlers): void {
    this.#handlers = handlers;
  }

  send(to: string, message: object): void {
    // What is said while the relay is away is lost like what is said to somebody who is.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify({ to, message }));
    else this.#handlers?.onAbsent(to);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.close();
  }

  connect(): Promise<void> {
    const socket = this.open();
    this.#socket = socket;
    let isOpen = false;
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => {
        isOpen = true;
        this.#failures = 0;
        resolve();
      });
      socket.addEventListener('close', ({ code, reason }) => {
        if (isOpen) this.#lost(code, reason);
        else reject(new SignallingError(this.relay, reason || `it does not answer (${code})`));
      });
      // Tells less than the close that follows it; but unheard it would end a Node process.
      socket.addEventListener('error', () => {});
      socket.addEventListener('message', ({ data }) => this.#receive(data));
    });
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') return;
    try {
      const { from, absent, message } = parseRecord(data);
      if (typeof absent === 'string') this.#handlers?.onAbsent(absent);
      else if (typeof from === 'string') this.#handlers?.onMessage(from, parseSignal(message));
    } catch {
      // Anybody may say anything here.
    }
  }

  #lost(code: number, reason: string): void {
    if (this.#isClosed) return;
    const pause = RETRY_MS[this.#failures++];
    // 4000 and above: the relay does not want us.
    if (code >= 4000 || pause === undefined) return this.#handlers?.onClose(new SignallingError(this.relay, reason || `the connection to it was lost (${code})`));
    setTimeout(() => {
      if (!this.#isClosed) this.connect().catch(() => this.#lost(1006, ''));
    }, pause);
  }
}

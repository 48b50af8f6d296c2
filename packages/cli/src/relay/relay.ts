// The way on which tabs that are not connected yet find each other: messages from one name of a room to another,
// which the relay does not read. It keeps nothing, tells nobody who is there, and is too slow and too narrow for
// anything but the few kilobytes that it takes to connect. What it could forge, the peers' handshake finds out.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';

export interface RelayLimits {
  readonly messageBytes: number;
  /** Of one peer: so many at once, and so many a second on average. */
  readonly messagesPerSecond: number;
  /** Of one peer, in all: connecting to 32 others takes a tenth. */
  readonly totalBytes: number;
  readonly peersPerRoom: number;
  readonly rooms: number;
  /** A room ends then, used or not; peers that are connected stay so. */
  readonly roomMs: number;
}

export const RELAY_LIMITS: RelayLimits = { messageBytes: 20_000, messagesPerSecond: 100, totalBytes: 4_000_000, peersPerRoom: 64, rooms: 1000, roomMs: 24 * 3600 * 1000 };

/** Where peers that are gone without a word are found out. */
const PING_MS = 30_000;

/** Codes of closing, for those that are not wanted: 4000 and above means not to come back. */
const CLOSE = { request: 4400, taken: 4409, expired: 4410, large: 1009, fast: 4429, full: 4503 } as const;

/** The part of an HTTP or HTTPS server that is needed. */
export interface UpgradingServer {
  on(event: 'upgrade', listener: (request: IncomingMessage, stream: Duplex, head: Buffer) => void): unknown;
}

interface Member {
  readonly socket: WebSocket;
  readonly owner: string;
}

interface Room {
  readonly members: Map<string, Member>;
  readonly expiry: NodeJS.Timeout;
}

export class Relay {
  readonly #sockets: WebSocketServer;
  readonly #rooms = new Map<string, Room>();
  readonly #pings: NodeJS.Timeout;

  constructor(readonly limits: RelayLimits = RELAY_LIMITS) {
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: limits.messageBytes, perMessageDeflate: false });
    this.#pings = setInterval(() => this.#pingAll(), PING_MS).unref();
  }

  get rooms(): number {
    return this.#rooms.size;
  }

  /** Takes a server's WebSockets. @param path where others are left to others */
  attach(server: UpgradingServer, path?: string): void {
    server.on('upgrade', (request, stream, head) => {
      const [address = '', query = ''] = (request.url ?? '').split('?');
      if (path !== undefined && address !== path) return;
      this.#sockets.handleUpgrade(request, stream, head, (socket) => this.#enter(socket, new URLSearchParams(query)));
    });
  }

  close(): void {
    clearInterval(this.#pings);
    for (const name of this.#rooms.keys()) this.#endRoom(name, 1001, 'the relay ends');
    this.#sockets.close();
  }

  #enter(socket: WebSocket, fields: URLSearchParams): void {
    socket.on('error', () => socket.terminate());
    const [room = '', peer = '', owner = ''] = ['room', 'peer', 'owner'].map((field) => fields.get(field) ?? '');
    if (![room, peer, owner].every((name) => /^[0-9a-f]{32}$/.test(name))) return socket.close(CLOSE.request, 'room, peer and owner are 32 hex digits each');
    const members = this.#rooms.get(room)?.members ?? this.#openRoom(room);
    if (!members || members.size >= this.limits.peersPerRoom) return socket.close(CLOSE.full, 'too many rooms, or peers in this room');
    const before = members.get(peer);
    // A connection that broke may be here still; only its owner can tell.
    if (before && before.owner !== owner) return socket.close(CLOSE.taken, 'the name is taken');
    before?.socket.terminate();
    members.set(peer, { socket, owner });
    socket.on('message', this.#forwarding(socket, members, peer));
    socket.on('close', () => {
      if (members.get(peer)?.socket === socket) members.delete(peer);
      if (members.size === 0) this.#endRoom(room, CLOSE.expired, '');
    });
  }

  #openRoom(name: string): Map<string, Member> | undefined {
    if (this.#rooms.size >= this.limits.rooms) return undefined;
    const members = new Map<string, Member>();
    this.#rooms.set(name, { members, expiry: setTimeout(() => this.#endRoom(name, CLOSE.expired, 'the room has expired'), this.limits.roomMs).unref() });
    return members;
  }

  #endRoom(name: string, code: number, reason: string): void {
    const room = this.#rooms.get(name);
    if (!room) return;
    this.#rooms.delete(name);
    clearTimeout(room.expiry);
    for (const { socket } of room.members.values()) socket.close(code, reason);
  }

  #forwarding(socket: WebSocket, members: ReadonlyMap<string, Member>, from: string): (data: Buffer) => void {
    const { messagesPerSecond, totalBytes } = this.limits;
    let [allowed, at, bytes] = [messagesPerSecond, performance.now(), 0];
    return (data) => {
      const now = performance.now();
      allowed = Math.min(messagesPerSecond, allowed + ((now - at) / 1000) * messagesPerSecond) - 1;
      at = now;
      bytes += data.length;
      if (allowed < 0 || bytes > totalBytes) return socket.close(CLOSE.fast, 'too many messages');
      const { to, message } = parse(data);
      if (to === undefined) return socket.close(CLOSE.request, 'a message is {"to": name, "message": {…}}');
      const receiver = members.get(to);
      if (receiver) receiver.socket.send(JSON.stringify({ from, message }));
      else socket.send(JSON.stringify({ absent: to }));
    };
  }

  #pingAll(): void {
    for (const socket of this.#sockets.clients) {
      const silent = setTimeout(() => socket.terminate(), PING_MS / 2).unref();
      socket.once('pong', () => clearTimeout(silent));
      socket.ping();
    }
  }
}

function parse(data: Buffer): { readonly to?: string; readonly message?: unknown } {
  try {
    const value: unknown = JSON.parse(data.toString('utf8'));
    if (typeof value === 'object' && value !== null && 'to' in value && typeof value.to === 'string') return { to: value.to, message: 'message' in value ? value.message : undefined };
  } catch {
    // As below.
  }
  return {};
}

import { AdmissionError, HandshakeError, PeerConnectionError, SignallingError } from '../errors.ts';
import { shakeHands, type Role } from '../handshake.ts';
import { isHex128, randomHex } from '../hex.ts';
import type { Invitation } from '../invitation.ts';
import { DEFAULT_LIMITS, type LinkLimits } from '../limits.ts';
import { readHello, type Membership, type MembershipHandlers, type PeerHello } from '../membership.ts';
import type { OpenSignalling } from '../signalling/signalling.ts';
import type { Connection, ConnectionOptions } from '../transport/connection.ts';
import type { ControlMessage } from '../transport/control-channel.ts';
import { Dialler } from './dialler.ts';
import { ConnectedPeer, type PeerEnd } from './peer.ts';

const MAX_PEERS = 32;
/** So often a connection to one peer is begun anew after it was lost. */
const MAX_REDIALS = 3;

export interface RoomOptions extends ConnectionOptions {
  /** What others are told of us. */
  readonly hello: PeerHello;
  readonly limits?: LinkLimits;
  /** Other peers that a host lets in; default 32. */
  readonly maxPeers?: number;
  /** Asked of a host for everybody who knows the secret; by default that is enough. */
  readonly ask?: (guest: { readonly name: string; readonly hello: PeerHello }) => boolean | Promise<boolean>;
  /** Ends joining. */
  readonly signal?: AbortSignal;
  /** Something that hinders others from joining, or us from reaching one of them. */
  readonly onWarning?: (error: Error) => void;
}

/** Throws `SignallingError`. @param relay goes into the invitation, for whoever opens it */
export async function openRoom(relay: string, openSignalling: OpenSignalling, options: RoomOptions): Promise<Room> {
  // A host's name is the room's, so that guests know whom to ask for.
  const name = randomHex(16);
  return new Room(await openSignalling(name, name), name, { room: name, secret: randomHex(16), relay }, randomHex(16), options);
}

/** Resolves when the host has let us in, and connections to the others stand or have failed. Throws `SignallingError`, `AdmissionError`, `PeerConnectionError`, `HandshakeError` and the signal's reason. */
export async function joinRoom(invitation: Invitation, openSignalling: OpenSignalling, options: RoomOptions): Promise<Room> {
  const name = randomHex(16);
  const room = new Room(await openSignalling(invitation.room, name), name, invitation, undefined, options);
  const cancel = () => room.close();
  options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    options.signal?.throwIfAborted();
    await room.enter();
    return room;
  } catch (error) {
    room.close();
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', cancel);
  }
}

/**
 * Everybody in a room is connected with everybody. The link's secret opens only the way to the host, who hands out the
 * key by which members know each other: a link can be revoked, and guests be asked about, without touching those who
 * are in.
 */
export class Room implements Membership {
  readonly #peers = new Map<string, ConnectedPeer>();
  /** Connections whose peers are not in the room yet. */
  readonly #meeting = new Set<Connection>();
  readonly #banned = new Set<string>();
  readonly #redials = new Map<string, number>();
  readonly #dialler: Dialler;
  readonly #limits: LinkLimits;
  #invitation: Invitation;
  /** Of the members; a guest waits for it. */
  #key: Promise<string>;
  #setKey: (key: string) => void = () => {};
  #handlers: MembershipHandlers | undefined;
  #isClosed = false;
  /** Called when somebody has come or gone. */
  onChange: () => void = () => {};

  /** @param key of the members; a guest has none yet */
  constructor(
    signalling: Awaited<ReturnType<OpenSignalling>>,
    readonly self: string,
    invitation: Invitation,
    key: string | undefined,
    readonly options: RoomOptions,
  ) {
    this.#invitation = invitation;
    this.#key = key === undefined ? new Promise((known) => (this.#setKey = known)) : Promise.resolve(key);
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#dialler = new Dialler(signalling, options, (connection) => this.#accept(connection), (error) => options.onWarning?.(error));
  }

  get isHost(): boolean {
    return this.self === this.#invitation.room;
  }

  /** What a host gives to those who are to join. Revoked ones open nothing. */
  get invitation(): Invitation {
    return this.#invitation;
  }

  /** Makes all links of before worthless. Who is in stays. Only a host can. */
  revokeInvitation(): Invitation {
    this.#invitation = { ...this.#invitation, secret: randomHex(16) };
    return this.#invitation;
  }

  get peers(): readonly ConnectedPeer[] {
    return [...this.#peers.values()];
  }

  listen(handlers: MembershipHandlers): void {
    this.#handlers = handlers;
    for (const peer of this.#peers.values()) handlers.onJoin(peer);
  }

  ban(name: string, reason: string): void {
    this.#banned.add(name);
    this.#peers.get(name)?.leave(reason);
    if (!this.isHost) return;
    this.revokeInvitation();
    const key = randomHex(16);
    this.#key = Promise.resolve(key);
    for (const { connection } of this.#peers.values()) connection.control.send({ type: 'key', key });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const peer of this.peers) peer.leave('it left the room');
    for (const connection of this.#meeting) connection.close();
    this.#dialler.close();
  }

  /** A guest's way in. */
  async enter(): Promise<void> {
    const host = this.#invitation.room;
    const { peer } = await this.#meet(await this.#dialler.dial(host), 'offerer', 'guest');
    const { control } = peer.connection;
    control.send({ type: 'join', hello: this.options.hello });
    const { type, reason, key, members, hello } = (await control.next()) ?? { type: 'refused' };
    if (type === 'refused') throw new AdmissionError(reason === 'full' ? 'full' : 'refused');
    if (type !== 'admitted' || !isHex128(key) || !Array.isArray(members)) throw new HandshakeError('malformed');
    this.#setKey(key);
    this.#add(peer, readHello(hello));
    await Promise.all(members.filter(isHex128).slice(0, MAX_PEERS).map((name) => this.#visit(name)));
  }

  /** Connects to a member that is there already. One that cannot be reached is missing, and the room goes on. @returns whether it may be reached later */
  async #visit(name: string): Promise<boolean> {
    try {
      const { peer } = await this.#meet(await this.#dialler.dial(name), 'offerer', 'member');
      await this.#greet(peer);
      return false;
    } catch (error) {
      // It has left meanwhile.
      if (error instanceof AdmissionError && error.reason === 'absent') return false;
      this.options.onWarning?.(error instanceof Error ? error : new SignallingError(this.#invitation.relay, String(error)));
      return error instanceof PeerConnectionError;
    }
  }

  /** A tab that is frozen, or a laptop that sleeps, does not answer, and may wake up soon. */
  async #revisit(name: string): Promise<void> {
    let redials = this.#redials.get(name) ?? 0;
    do {
      if (this.#isClosed || this.#banned.has(name) || redials >= MAX_REDIALS) return;
      this.#redials.set(name, ++redials);
    } while (await this.#visit(name));
  }

  async #accept(connection: Connection): Promise<void> {
    if (this.#banned.has(connection.peer)) throw new AdmissionError('refused');
    try {
      const { peer, role } = await this.#meet(connection, 'answerer', this.isHost ? 'host' : 'member');
      if (role === 'guest') await this.#admit(peer);
      else await this.#greet(peer);
    } finally {
      this.#meeting.delete(connection);
    }
  }

  async #admit(peer: ConnectedPeer): Promise<void> {
    const { control } = peer.connection;
    const hello = await joinOf(peer);
    const refuse = (reason: AdmissionError['reason']) => {
      control.send({ type: 'refused', reason });
      throw new AdmissionError(reason);
    };
    if (this.#peers.size >= (this.options.maxPeers ?? MAX_PEERS)) refuse('full');
    if (!((await this.options.ask?.({ name: peer.name, hello })) ?? true) || this.#isClosed) refuse('refused');
    control.send({ type: 'admitted', key: await this.#key, members: [...this.#peers.keys()], hello: this.options.hello });
    this.#add(peer, hello);
  }

  /** Members tell each other who they are. */
  async #greet(peer: ConnectedPeer): Promise<void> {
    peer.connection.control.send({ type: 'join', hello: this.options.hello });
    this.#add(peer, await joinOf(peer));
  }

  async #meet(connection: Connection, end: 'offerer' | 'answerer', role: Role): Promise<{ readonly peer: ConnectedPeer; readonly role: Role }> {
    let peer: ConnectedPeer | undefined;
    this.#meeting.add(connection);
    try {
      const other = await shakeHands(connection.control, {
        self: { name: this.self, role },
        end,
        peer: connection.peer,
        fingerprints: connection.fingerprints(),
        keyFor: (others) => this.#keyBetween(role, others),
        onProven: () => void (peer = new ConnectedPeer(connection.peer, connection, end === 'offerer', this.#limits, this.options)),
      });
      if (!peer) throw new HandshakeError('closed');
      return { peer, role: other.role };
    } catch (error) {
      this.#meeting.delete(connection);
      connection.close();
      throw error;
    }
  }

  /** Guest and host share the link's secret, members the room's key. */
  #keyBetween(own: Role, other: Role): string | Promise<string> {
    if ((own === 'guest' && other === 'host') || (own === 'host' && other === 'guest')) return this.#invitation.secret;
    if (own === 'guest' || other === 'guest') throw new HandshakeError('malformed');
    return this.#key;
  }

  #add(peer: ConnectedPeer, hello: PeerHello): void {
    if (this.#isClosed) return peer.leave('it has left the room');
    // It has lost the connection and we have not noticed yet.
    this.#peers.get(peer.name)?.end('it has come again');
    this.#meeting.delete(peer.connection);
    this.#peers.set(peer.name, peer);
    peer.hello = hello;
    this.#handlers?.onJoin(peer);
    this.onChange();
    peer.begin((message) => this.#receive(peer, message), (reason, how) => this.#remove(peer, reason, how));
  }

  #receive(peer: ConnectedPeer, { type, key }: ControlMessage): void {
    if (type === 'key' && peer.name === this.#invitation.room && isHex128(key)) this.#key = Promise.resolve(key);
  }

  #remove(peer: ConnectedPeer, reason: string, how: PeerEnd): void {
    this.#peers.delete(peer.name);
    this.#handlers?.onLeave(peer.name, reason);
    this.onChange();
    if (how === 'violation') return this.ban(peer.name, reason);
    if (how === 'lost' && peer.isOurs) void this.#revisit(peer.name);
  }
}

/** The peer's greeting. Throws `HandshakeError` for anything else. */
async function joinOf(peer: ConnectedPeer): Promise<PeerHello> {
  const message = await peer.connection.control.next();
  if (message?.['type'] !== 'join') throw new HandshakeError(message ? 'malformed' : 'closed');
  return readHello(message['hello']);
}

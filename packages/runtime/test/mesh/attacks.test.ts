// What a relay and a peer may try, over real WebRTC.
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/mesh/limits.ts';
import type { OpenSignalling, Signalling, SignallingHandlers } from '../../src/mesh/signalling/signalling.ts';
import { webSocketSignalling } from '../../src/mesh/signalling/websocket.ts';
import type { Connection } from '../../src/mesh/transport/connection.ts';
import { dataOf } from '../../src/mesh/transport/message-channel.ts';
import { Negotiation } from '../../src/mesh/transport/negotiate.ts';
import type { PeerConnectionLike } from '../../src/mesh/transport/peer-connection.ts';
import { createConnection, Events, Frames, openSocket, PATIENT, Rooms, runRelay, type RunningRelay } from './rooms.ts';

let relay: RunningRelay;
let rooms: Rooms;
beforeAll(async () => {
  relay = await runRelay();
  rooms = new Rooms(relay.url);
});
afterEach(() => rooms.close());
afterAll(() => relay.close());

test('a wrong secret', async () => {
  const host = await rooms.host();
  const events = new Events(host);
  await expect(rooms.join({ ...host.invitation, secret: '0'.repeat(32) })).rejects.toMatchObject({ name: 'HandshakeError', code: 'handshake-secret' });
  await rooms.join(host.invitation);
  await events.until(({ joined }) => joined.length === 1);
});

type Channel = ReturnType<PeerConnectionLike['createDataChannel']>;

/** A relay that ends both sides' connections at itself and passes on what they say to each other. */
function manInTheMiddle(honest: OpenSignalling): { readonly open: OpenSignalling; readonly passed: string[]; close(): void } {
  const passed: string[] = [];
  const ends: PeerConnectionLike[] = [];
  const pump = (from: Channel, to: Channel) =>
    from.addEventListener('message', (event) => {
      const data = String(dataOf(event));
      passed.push(data);
      if (to.readyState === 'open') to.send(data);
      else to.addEventListener('open', () => to.send(data), { once: true });
    });
  const open: OpenSignalling = async (room, self) => {
    const real = await honest(room, self);
    let handlers: SignallingHandlers | undefined;
    let sides: { readonly toGuest: Negotiation; readonly toHost: Negotiation } | undefined;
    const begin = (connection: string) => {
      const [guest, host] = [createConnection({ iceServers: [] }), createConnection({ iceServers: [] })];
      ends.push(guest, host);
      for (const [id, ordered] of [[0, true], [1, false]] as const) {
        const options = { negotiated: true, id, ordered };
        const [atGuest, atHost] = [guest.createDataChannel('', options), host.createDataChannel('', options)];
        pump(atGuest, atHost);
        pump(atHost, atGuest);
      }
      const toGuest = new Negotiation(guest, { connection, send: (message) => handlers?.onMessage(room, message) });
      const toHost = new Negotiation(host, { connection, send: (message) => real.send(room, message) });
      void toHost.offer();
      return { toGuest, toHost };
    };
    const lying: Signalling = {
      listen(told) {
        handlers = told;
        real.listen({ ...told, onMessage: (_, message) => void sides?.toHost.receive(message) });
      },
      send: (_, message) => void (sides ??= begin(message.connection)).toGuest.receive(message),
      close: () => real.close(),
    };
    return lying;
  };
  return { open, passed, close: () => ends.forEach((end) => end.close()) };
}

test('a relay that swaps the fingerprints to read along', async () => {
  const host = await rooms.host();
  const events = new Events(host);
  const middle = manInTheMiddle(webSocketSignalling(relay.url, openSocket));
  const deceived = new Rooms(relay.url, middle.open);
  await expect(deceived.join(host.invitation)).rejects.toMatchObject({ name: 'HandshakeError', code: 'handshake-fingerprint' });
  // It was between both, and heard no more than the handshake, which tells no secret.
  expect(middle.passed.length).toBeGreaterThan(0);
  expect(middle.passed.filter((text) => !/"type":"(hello|proof)"/.test(text))).toEqual([]);
  expect(middle.passed.some((text) => text.includes(host.invitation.secret))).toBe(false);
  expect(events.joined).toEqual([]);
  deceived.close();
  middle.close();
});

test('a member that floods, one with oversized frames, and one with malformed ones are cut off; the others stay', async () => {
  const limits = { ...DEFAULT_LIMITS, maxFrameBytes: 100_000, bytesPerSecond: 2e6 };
  const host = await rooms.host({ limits });
  const events = new Events(host);
  const friend = await rooms.join(host.invitation);
  // Its own limits do not hold it back.
  const attack = async (send: (connection: Connection, flood: () => Promise<void>) => Promise<void>) => {
    const attacker = await rooms.join(host.invitation);
    const toHost = attacker.peers.find(({ name }) => name === host.self);
    if (!toHost) throw new Error('not connected');
    const atHost = await vi.waitUntil(() => events.joined.find(({ name }) => name === attacker.self), PATIENT);
    const frames = new Frames(atHost.link);
    const flood = async () => {
      while (frames.closed === undefined) await toHost.link.send(new Uint8Array(50_000));
    };
    await send(toHost.connection, () => flood().catch(() => {}));
    await frames.until(({ closed }) => closed !== undefined);
    await events.until(({ left }) => left.some(({ name }) => name === attacker.self));
    return frames.closed;
  };
  expect(await attack((_, flood) => flood())).toContain('over the limit of 2000000 bytes a second');
  expect(await attack(async ({ frames }) => {
    const header = new DataView(new ArrayBuffer(4600));
    for (const [i, value] of [1, 0, 2 ** 31, 0].entries()) header.setUint32(4 * i, value, true);
    frames.send(new Uint8Array(header.buffer));
  })).toContain(`A frame of ${2 ** 31} bytes`);
  expect(await attack(async ({ frames }) => frames.send(crypto.getRandomValues(new Uint8Array(1000)).fill(255, 0, 4)))).toContain('malformed');
  expect(await attack(async ({ frames }) => frames.send('hello'))).toContain('text where bytes belong');
  expect(await attack(async ({ control }) => {
    for (let i = 0; i < 1000; i++) control.send({ type: 'x' });
  })).toContain('messages a second');
  expect(host.peers.map(({ name }) => name)).toEqual([friend.self]);
});

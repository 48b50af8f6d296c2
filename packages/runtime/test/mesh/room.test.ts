import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { joinRoom } from '../../src/client/join-room.ts';
import { invitationLink, isInvitation, parseInvitation } from '../../src/mesh/invitation.ts';
import { webSocketSignalling } from '../../src/mesh/signalling/websocket.ts';
import { Events, Frames, openSocket, PATIENT, Rooms, runRelay, type RunningRelay } from './rooms.ts';

let relay: RunningRelay;
let rooms: Rooms;
beforeAll(async () => {
  relay = await runRelay();
  rooms = new Rooms(relay.url);
});
afterEach(() => rooms.close());
afterAll(() => relay.close());

const random = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7919) >>> 3);

describe('a room', () => {
  test('three peers are all connected, and frames of all sizes come whole and in order', async () => {
    const host = await rooms.host();
    const link = invitationLink('https://example.org/demo', host.invitation);
    const [first, second] = [await rooms.join(link), await rooms.join(link)];
    const [atHost, atFirst, atSecond] = [new Events(host), new Events(first), new Events(second)];
    await Promise.all([atHost, atFirst, atSecond].map((events) => events.until(({ joined }) => joined.length === 2)));

    const sizes = [0, 1, 4583, 4584, 4585, 9168, 100_000, 3_000_000, 17];
    const [from, to] = [atFirst.joined.find(({ name }) => name === second.self), atSecond.joined.find(({ name }) => name === first.self)];
    expect(from?.hello).toMatchObject({ kind: 'node', memoryBytes: 1e9 });
    if (!from || !to) throw new Error('the guests have not met');
    const frames = new Frames(to.link);
    await Promise.all(sizes.map((size) => from.link.send(random(size))));
    await frames.until(({ received }) => received.length === sizes.length);
    expect(frames.received.map(({ length }) => length)).toEqual(sizes);
    expect(frames.received.every((frame) => Buffer.from(frame).equals(random(frame.length)))).toBe(true);
  });

  test('who leaves is told of, and round trips are measured', async () => {
    const host = await rooms.host();
    const guest = await rooms.join(host.invitation);
    const events = await new Events(host).until(({ joined }) => joined.length === 1);
    await vi.waitUntil(() => events.joined[0]?.stats().roundTripsMs.length, PATIENT);
    guest.close();
    await events.until(({ left }) => left.length === 1);
    expect(events.left).toEqual([{ name: guest.self, reason: 'it left the room' }]);
    await expect(events.joined[0]?.link.send(new Uint8Array(1))).rejects.toMatchObject({ code: 'link-closed', peer: guest.self });
  });

  test('a revoked link opens nothing; who is in stays in, and the new link works', async () => {
    const host = await rooms.host();
    const old = host.invitation;
    const guest = await rooms.join(old);
    host.revokeInvitation();
    await expect(rooms.join(old)).rejects.toMatchObject({ code: 'handshake-secret' });
    const late = await rooms.join(host.invitation);
    await new Events(guest).until(({ joined }) => joined.some(({ name }) => name === late.self));
  });

  test('a connection that is lost is made anew', async () => {
    const host = await rooms.host();
    const guest = await rooms.join(host.invitation);
    const [atHost, atGuest] = [new Events(host), new Events(guest)];
    host.peers[0]?.connection.rtc.close();
    await Promise.all([atHost, atGuest].map((events) => events.until(({ joined, left }) => joined.length === 2 && left.length === 1)));
    expect(host.peers.map(({ name }) => name)).toEqual([guest.self]);
    const [, again] = atGuest.joined;
    if (!again) throw new Error('nobody has come');
    const frames = new Frames(host.peers[0]?.link ?? again.link);
    await again.link.send(random(10));
    await frames.until(({ received }) => received.length === 1);
  });

  test('a relay that is lost is found again; who is in notices nothing', async () => {
    const sockets: WebSocket[] = [];
    const watched = new Rooms(relay.url, webSocketSignalling(relay.url, (url) => {
      const socket = openSocket(url);
      sockets.push(socket);
      return socket;
    }));
    const host = await watched.host();
    const guest = await rooms.join(host.invitation);
    sockets[0]?.terminate();
    await vi.waitUntil(() => sockets[1]?.readyState === 1, PATIENT);
    const late = await rooms.join(host.invitation);
    expect(late.peers.map(({ name }) => name).sort()).toEqual([host.self, guest.self].sort());
    watched.close();
  });

  test('a host that is asked can refuse', async () => {
    const host = await rooms.host({ ask: async ({ hello }) => hello.name === 'friend' });
    await expect(rooms.join(host.invitation)).rejects.toMatchObject({ code: 'admission-refused' });
    const friend = await rooms.join(host.invitation, { hello: { name: 'friend', kind: 'page', modelId: '', modelUrl: '', memoryBytes: 0 } });
    expect(friend.peers.map(({ name }) => name)).toEqual([host.self]);
  });

  test('a full room, and one that is not there', async () => {
    const host = await rooms.host({ maxPeers: 1 });
    await rooms.join(host.invitation);
    await expect(rooms.join(host.invitation)).rejects.toMatchObject({ code: 'admission-full' });
    await expect(rooms.join({ ...host.invitation, room: '0'.repeat(32) })).rejects.toMatchObject({ code: 'admission-absent' });
  });

  test('a peer that is banned is out, its old link and key with it', async () => {
    const host = await rooms.host();
    const [bad, good] = [await rooms.join(host.invitation), await rooms.join(host.invitation)];
    const old = host.invitation;
    const [atBad, atGood] = [new Events(bad), new Events(good)];
    host.ban(bad.self, 'wrong results');
    await atBad.until(({ left }) => left.some(({ name, reason }) => name === host.self && reason === 'wrong results'));
    await expect(rooms.join(old)).rejects.toMatchObject({ code: 'handshake-secret' });
    const late = await rooms.join(host.invitation);
    await atGood.until(({ joined }) => joined.some(({ name }) => name === late.self));
    expect(late.peers.map(({ name }) => name).sort()).toEqual([host.self, good.self].sort());
  });
});

test('a link without a model is none to join by alone', async () => {
  const link = invitationLink('https://example.org/', { room: 'a'.repeat(32), secret: 'b'.repeat(32), relay: 'wss://relay.example' });
  await expect(joinRoom(link)).rejects.toMatchObject({ code: 'invitation' });
});

test('invitations', () => {
  const invitation = { room: 'a'.repeat(32), secret: '01'.repeat(16), relay: 'wss://relay.example/x?y=1&z' };
  const link = invitationLink('https://example.org/page?q=1#old', invitation);
  expect(parseInvitation(link)).toEqual(invitation);
  expect(new URL(link).search).toBe('?q=1');
  expect([isInvitation(link), isInvitation('https://example.org/#top')]).toEqual([true, false]);
  for (const bad of ['https://example.org/', link.slice(0, -60), 'x#room=1', link.replace('secret', 'secre')]) {
    expect(() => parseInvitation(bad)).toThrow(expect.objectContaining({ code: 'invitation' }));
  }
});

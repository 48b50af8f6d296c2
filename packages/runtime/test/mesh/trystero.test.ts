// A room without a relay of ours: a Nostr relay in this process is all that it knows.
import { once } from 'node:events';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { trysteroSignalling } from '../../src/mesh/signalling/trystero.ts';
import { Events, Rooms } from './rooms.ts';

/** The part of NIP-01 that Trystero uses: events go to whoever subscribes to their topic. */
async function nostrRelay() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  const subscriptions: { readonly socket: WebSocket; readonly id: string; readonly topics: readonly string[] }[] = [];
  const seen: string[] = [];
  server.on('connection', (socket) =>
    socket.on('message', (data) => {
      seen.push(String(data));
      const [kind, first, second] = JSON.parse(String(data));
      if (kind === 'REQ') subscriptions.push({ socket, id: first, topics: second['#x'] });
      if (kind !== 'EVENT') return;
      socket.send(JSON.stringify(['OK', first.id, true, '']));
      const topics = new Set<string>(first.tags.map(([, topic]: string[]) => topic));
      for (const { socket: to, id, topics: wanted } of subscriptions) if (wanted.some((topic) => topics.has(topic))) to.send(JSON.stringify(['EVENT', id, first]));
    }),
  );
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `ws://127.0.0.1:${address.port}`, seen, close: () => server.close() };
}

let relay: Awaited<ReturnType<typeof nostrRelay>>;
beforeAll(async () => {
  vi.stubGlobal('WebSocket', WebSocket);
  vi.stubGlobal('RTCPeerConnection', RTCPeerConnection);
  relay = await nostrRelay();
});
afterAll(() => {
  vi.unstubAllGlobals();
  relay.close();
});

test('two peers meet by a Nostr relay, which learns no secret', async () => {
  const rooms = new Rooms('nostr', trysteroSignalling({ relayUrls: [relay.url] }));
  const host = await rooms.host();
  // Trystero has one identity a module.
  vi.resetModules();
  const again = await import('../../src/mesh/signalling/trystero.ts');
  const guests = new Rooms('nostr', again.trysteroSignalling({ relayUrls: [relay.url] }));
  const guest = await guests.join(host.invitation);
  await new Events(host).until(({ joined }) => joined.some(({ name }) => name === guest.self));
  expect(relay.seen.length).toBeGreaterThan(0);
  expect(relay.seen.join()).not.toContain(host.invitation.secret);
  rooms.close();
  guests.close();
});

test('no relays, no room', async () => {
  await expect(new Rooms('nostr', trysteroSignalling({ relayUrls: [] })).host()).rejects.toMatchObject({ code: 'signalling' });
});

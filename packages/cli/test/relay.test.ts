import { connect } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { PATIENT, runRelay, type RunningRelay } from '../../runtime/test/mesh/rooms.ts';
import { gatefold, lastLine } from './cli.ts';
import { openRelay } from '../src/relay/open-relay.ts';
import type { RelayLimits } from '../src/relay/relay.ts';

const [ROOM, ANNA, BERT] = ['0', 'a', 'b'].map((digit) => digit.repeat(32));

let running: RunningRelay | undefined;
afterEach(() => running?.close());

async function start(limits: Partial<RelayLimits> = {}): Promise<RunningRelay> {
  running = await runRelay(limits);
  return running;
}

/** A socket whose messages and end can be waited for. */
async function enter({ url }: { readonly url: string }, peer = '', { room = ROOM, owner = peer } = {}) {
  const socket = new WebSocket(`${url}?room=${room}&peer=${peer}&owner=${owner}`);
  const messages: unknown[] = [];
  let wake = () => {};
  socket.on('message', (data) => {
    messages.push(JSON.parse(String(data)));
    wake();
  });
  socket.on('error', () => {});
  const closed = new Promise<number>((done) => socket.on('close', done));
  await Promise.race([new Promise((done) => socket.on('open', done)), closed]);
  const next = async () => {
    while (messages.length === 0) await new Promise<void>((woken) => (wake = woken));
    return messages.shift();
  };
  return { socket, closed, next, send: (value: unknown) => socket.send(JSON.stringify(value)) };
}

test('passes messages on by name, within a room, and says who is absent', async () => {
  const relay = await start();
  const [anna, bert] = [await enter(relay, ANNA), await enter(relay, BERT)];
  const elsewhere = await enter(relay, BERT, { room: '1'.repeat(32) });
  anna.send({ to: BERT, message: { hello: 1 } });
  expect(await bert.next()).toEqual({ from: ANNA, message: { hello: 1 } });
  elsewhere.send({ to: ANNA, message: {} });
  expect(await elsewhere.next()).toEqual({ absent: ANNA });
});

test('a name is its owner\'s, who may come back before the old connection ends', async () => {
  const relay = await start();
  const anna = await enter(relay, ANNA);
  expect(await (await enter(relay, ANNA, { owner: BERT })).closed).toBe(4409);
  const again = await enter(relay, ANNA);
  await anna.closed;
  const bert = await enter(relay, BERT);
  bert.send({ to: ANNA, message: 1 });
  expect(await again.next()).toEqual({ from: BERT, message: 1 });
});

test.each([
  ['large', {}, 1009, 1, 20_000],
  ['many', { messagesPerSecond: 5 }, 4429, 20, 1],
  ['too much in all', { totalBytes: 1000 }, 4429, 5, 300],
])('messages that are %s end a connection', async (_, limits, code, count, length) => {
  const relay = await start(limits);
  const anna = await enter(relay, ANNA);
  for (let i = 0; i < count; i++) anna.send({ to: BERT, message: 'x'.repeat(length) });
  expect(await anna.closed).toBe(code);
});

test.each(['no JSON', '[]', '{"to":1}'])('%s is no message', async (text) => {
  const anna = await enter(await start(), ANNA);
  anna.socket.send(text);
  expect(await anna.closed).toBe(4400);
});

test('rooms are limited in number and size, and end when they are empty', async () => {
  const relay = await start({ rooms: 1, peersPerRoom: 1 });
  const anna = await enter(relay, ANNA);
  expect(await (await enter(relay, BERT)).closed).toBe(4503);
  expect(await (await enter(relay, BERT, { room: '1'.repeat(32) })).closed).toBe(4503);
  expect(await (await enter(relay, 'Bert')).closed).toBe(4400);
  anna.socket.close();
  await vi.waitUntil(() => relay.relay.rooms === 0, PATIENT);
});

test.each(['//', '/%', '/?room=%', '/?room=x'])('an odd address (%s) is refused, and the relay goes on', async (path) => {
  const relay = await openRelay();
  const socket = connect(relay.port, '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`);
  const anna = await enter(relay, ANNA);
  anna.send({ to: BERT, message: 1 });
  expect(await anna.next()).toEqual({ absent: BERT });
  socket.destroy();
  relay.close();
});

test('rooms expire', async () => {
  const relay = await start({ roomMs: 100 });
  expect(await (await enter(relay, ANNA)).closed).toBe(4410);
  expect(relay.relay.rooms).toBe(0);
});

test('the command says where it listens, and ends on Ctrl-C', async () => {
  const { code, stdout } = await gatefold(['relay', '--port', '0', '--json'], { interrupt: 'SIGINT' });
  expect(lastLine(stdout).json).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
  expect(code).toBe(130);
  expect(await gatefold(['relay', '--port', '70000'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--port') });
});

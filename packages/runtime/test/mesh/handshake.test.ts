import { describe, expect, test } from 'vitest';
import { PROTOCOL_VERSION, shakeHands, type HandshakeOptions } from '../../src/mesh/handshake.ts';
import { ControlChannel } from '../../src/mesh/transport/control-channel.ts';
import { MemoryChannel } from './memory-channel.ts';

const [ANNA, BERT, KEY] = ['a', 'b', '5'].map((digit) => digit.repeat(32)) as [string, string, string];
const [ANNAS, BERTS, MALLORYS] = ['aa', 'bb', 'cc'].map((byte) => `sha-256 ${Array(32).fill(byte).join(':')}`) as [string, string, string];

const anna = (changes: Partial<HandshakeOptions> = {}): HandshakeOptions => ({
  self: { name: ANNA, role: 'guest' },
  end: 'offerer',
  peer: BERT,
  keyFor: () => KEY,
  fingerprints: { own: ANNAS, other: BERTS },
  ...changes,
});
const bert = (changes: Partial<HandshakeOptions> = {}): HandshakeOptions => ({
  self: { name: BERT, role: 'host' },
  end: 'answerer',
  peer: ANNA,
  keyFor: () => KEY,
  fingerprints: { own: BERTS, other: ANNAS },
  ...changes,
});

/** Runs both sides; what each ends with. */
async function both(annas: HandshakeOptions, berts: HandshakeOptions, channels = MemoryChannel.pair()) {
  const sides = await Promise.allSettled([shakeHands(new ControlChannel(channels[0]), annas), shakeHands(new ControlChannel(channels[1]), berts)]);
  return sides.map((side) => (side.status === 'fulfilled' ? side.value : side.reason));
}

/** Keeps what a side sends. */
function record(channel: MemoryChannel): string[] {
  const sent: string[] = [];
  channel.onSend = (data) => {
    sent.push(String(data));
    return data;
  };
  return sent;
}

describe('a handshake', () => {
  test('tells both sides who the other is', async () => {
    expect(await both(anna(), bert())).toEqual([{ name: BERT, role: 'host' }, { name: ANNA, role: 'guest' }]);
  });

  test('refuses who does not know the secret', async () => {
    const sides = await both(anna({ keyFor: () => '6'.repeat(32) }), bert());
    expect(sides).toMatchObject([{ code: 'handshake-secret' }, { code: 'handshake-secret' }]);
  });

  test('finds out who stands between: both sides see its fingerprints', async () => {
    const sides = await both(anna({ fingerprints: { own: ANNAS, other: MALLORYS } }), bert({ fingerprints: { own: BERTS, other: MALLORYS } }));
    expect(sides).toMatchObject([{ code: 'handshake-fingerprint' }, { code: 'handshake-fingerprint' }]);
  });

  test.each([
    ['from before', false],
    ['of our own, sent back', true],
  ])('refuses words %s', async (_, own) => {
    const recorded = MemoryChannel.pair();
    const words = own ? undefined : record(recorded[1]);
    await both(anna(), bert(), recorded);

    const [here, there] = MemoryChannel.pair();
    const replay = words ?? [];
    let next = 0;
    here.onSend = (data) => {
      const word = own ? data : replay[next++];
      if (word !== undefined) queueMicrotask(() => here.receive(word));
      return undefined;
    };
    expect(there.other).toBe(here);
    await expect(shakeHands(new ControlChannel(here), anna())).rejects.toMatchObject({ code: own ? 'handshake-malformed' : 'handshake-secret' });
  });

  test('binds roles and names', async () => {
    const channels = MemoryChannel.pair();
    channels[0].onSend = (data) => String(data).replace('"role":"guest"', '"role":"member"');
    expect(await both(anna(), bert(), channels)).toMatchObject([{ code: 'handshake-secret' }, { code: 'handshake-secret' }]);
    expect(await both(anna({ peer: ANNA }), bert({ timeoutMs: 100 }))).toMatchObject([{ code: 'handshake-malformed' }, { name: 'HandshakeError' }]);
  });

  test('is not finished before the other side is ready for payload', async () => {
    const [here, there] = MemoryChannel.pair();
    let isReady = false;
    const annas = shakeHands(new ControlChannel(here), anna()).then(() => isReady);
    await shakeHands(new ControlChannel(there), bert({ onProven: async () => {
      await new Promise((done) => setTimeout(done, 5));
      isReady = true;
    } }));
    expect(await annas).toBe(true);
  });

  test.each([
    ['another version', { type: 'hello', version: PROTOCOL_VERSION + 1 }, 'handshake-version'],
    ['no hello', { type: 'proof' }, 'handshake-malformed'],
    ['a hello without a name', { type: 'hello', version: PROTOCOL_VERSION, nonce: ANNA, role: 'host' }, 'handshake-malformed'],
  ])('refuses %s', async (_, message, code) => {
    const [here] = MemoryChannel.pair();
    const done = shakeHands(new ControlChannel(here), anna());
    here.receive(JSON.stringify(message));
    await expect(done).rejects.toMatchObject({ code });
  });

  test('waits no longer than it has to', async () => {
    const [here] = MemoryChannel.pair();
    await expect(shakeHands(new ControlChannel(here), anna({ timeoutMs: 1 }))).rejects.toMatchObject({ code: 'handshake-timeout' });
  });

  test.each(['no JSON', '[]', '"x"', `{"x":"${'y'.repeat(20_000)}"}`])('ends at %s', async (text) => {
    const [here] = MemoryChannel.pair();
    const done = shakeHands(new ControlChannel(here), anna());
    here.receive(text);
    await expect(done).rejects.toMatchObject({ code: 'malformed-frame' });
  });
});

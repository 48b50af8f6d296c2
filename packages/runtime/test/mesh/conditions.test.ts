import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { ConditionedChannel, delayOf } from '../../src/mesh/transport/conditions.ts';
import { dataOf } from '../../src/mesh/transport/message-channel.ts';
import { MemoryChannel } from './memory-channel.ts';

const fair = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

test('delays are half a round trip, give or take the jitter', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.nat(10), fc.nat(), (rtt, jitter, seed) => {
      const delay = delayOf(4600, { rtt, jitter }, fair(seed));
      expect(delay).toBeGreaterThanOrEqual(Math.max(0, rtt / 2 - jitter));
      expect(delay).toBeLessThanOrEqual(rtt / 2 + jitter);
    }),
  );
});

test('losses cost round trips: as many messages as lose a packet', () => {
  const random = fair(7);
  const rtt = 40;
  const delays = Array.from({ length: 20_000 }, () => delayOf(1000, { rtt, loss: 0.1 }, random));
  const late = delays.filter((delay) => delay > rtt / 2).length / delays.length;
  expect(late).toBeGreaterThan(0.09);
  expect(late).toBeLessThan(0.11);
  expect(Math.min(...delays.filter((delay) => delay > rtt / 2))).toBe(rtt / 2 + rtt);
});

test('an ordered channel keeps its order, whatever the jitter; nothing comes after a close', async () => {
  vi.useFakeTimers();
  try {
    const [one, other] = MemoryChannel.pair();
    const received: string[] = [];
    other.addEventListener('message', (event) => received.push(String(dataOf(event))));
    const channel = new ConditionedChannel(one, { rtt: 10, jitter: 5, loss: 0.3 }, true, fair(3));
    const sent = Array.from({ length: 50 }, (_, i) => String(i));
    for (const text of sent) channel.send(text);
    await vi.advanceTimersByTimeAsync(2000);
    expect(received).toEqual(sent);
    channel.send('late');
    channel.close();
    await vi.advanceTimersByTimeAsync(2000);
    expect(received).toEqual(sent);
  } finally {
    vi.useRealTimers();
  }
});

test('delays of parts of a millisecond come out right on the whole', async () => {
  vi.useFakeTimers();
  try {
    const [one, other] = MemoryChannel.pair();
    const delays: number[] = [];
    const channel = new ConditionedChannel(one, { rtt: 5 }, false);
    for (let i = 0; i < 10; i++) {
      const sentAt = performance.now();
      const arrived = new Promise<void>((resolve) => other.addEventListener('message', () => resolve()));
      channel.send('x');
      await vi.advanceTimersToNextTimerAsync();
      await arrived;
      delays.push(performance.now() - sentAt);
    }
    expect(delays.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(25, 0);
  } finally {
    vi.useRealTimers();
  }
});

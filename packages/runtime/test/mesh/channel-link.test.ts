import { expect, test } from 'vitest';
import { DEFAULT_LIMITS, type LinkLimits } from '../../src/mesh/limits.ts';
import { ChannelLink } from '../../src/mesh/transport/channel-link.ts';
import { slicesOf } from '../../src/mesh/transport/slices.ts';
import { MemoryChannel } from './memory-channel.ts';

function linkOf(limits: Partial<LinkLimits> = {}) {
  const channel = new MemoryChannel();
  const violations: unknown[] = [];
  const link = new ChannelLink('peer', channel, { ...DEFAULT_LIMITS, ...limits }, (_, error) => error !== undefined && violations.push(error));
  return { link, channel, violations };
}

const frame = new Uint8Array(100);

test.each([
  ['floods with slices', { slicesPerSecond: 10 }, { what: 'messages a second', limit: 10 }],
  ['floods with bytes', { bytesPerSecond: 1000 }, { what: 'bytes a second', limit: 1000 }],
  ['sends more than anybody takes', { maxPendingBytes: 1000 }, { what: 'bytes in memory', limit: 1000 }],
])('a peer that %s is cut off', (_, limits, error) => {
  const { link, channel, violations } = linkOf(limits);
  for (let number = 0; number < 100; number++) for (const slice of slicesOf(frame, number)) channel.receive(slice);
  expect(violations).toMatchObject([{ code: 'peer-limit', ...error }]);
  expect(link.traffic.framesReceived).toBeLessThan(20);
});

test('an oversized frame is not sent, and one that is announced ends the link', async () => {
  const { link, channel, violations } = linkOf({ maxFrameBytes: 50 });
  await expect(link.send(frame)).rejects.toMatchObject({ code: 'frame-too-large', bytes: 100, limit: 50 });
  let reason = '';
  link.listen({ onFrame: () => {}, onClose: (why) => (reason = why) });
  for (const slice of slicesOf(frame, 0)) channel.receive(slice);
  expect(violations).toMatchObject([{ code: 'frame-too-large' }]);
  expect(reason).toContain('100');
  await expect(link.send(new Uint8Array(1))).rejects.toMatchObject({ code: 'link-closed', peer: 'peer' });
});

test('text on the channel of frames ends the link', () => {
  const { channel, violations } = linkOf();
  channel.receive('{}');
  expect(violations).toMatchObject([{ code: 'malformed-frame' }]);
});

test('frames that come before anybody listens wait', () => {
  const { link, channel } = linkOf();
  for (const slice of slicesOf(frame, 0)) channel.receive(slice);
  const received: number[] = [];
  link.listen({ onFrame: ({ length }) => received.push(length), onClose: () => {} });
  expect(received).toEqual([100]);
});

test('send waits while the transport is full, goes on by its event, and fails when the link closes', async () => {
  const { link, channel } = linkOf();
  channel.bufferedAmount = 2 ** 21;
  let sent = 0;
  const first = link.send(frame).then(() => sent++);
  const second = link.send(frame).then(() => sent++);
  await Promise.resolve();
  expect([sent, link.bufferedBytes > 2 ** 21]).toEqual([0, true]);
  channel.bufferedAmount = 0;
  channel.emit(new Event('bufferedamountlow'));
  await Promise.all([first, second]);
  channel.bufferedAmount = 2 ** 21;
  const third = link.send(frame);
  await Promise.resolve();
  link.close('enough');
  await expect(third).rejects.toMatchObject({ code: 'link-closed', reason: 'enough' });
});

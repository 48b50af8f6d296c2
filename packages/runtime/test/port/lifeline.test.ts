import { expect, test } from 'vitest';
import { Lifeline } from '../../src/port/lifeline.ts';

test('work has its own outcome while nothing happens', async () => {
  const lifeline = new Lifeline();
  expect(await lifeline.run(async () => 5)).toBe(5);
  await expect(lifeline.run(() => Promise.reject(new Error('own')))).rejects.toThrow('own');
  lifeline.cut(new Error('late'));
});

test('a cut rejects what runs and what comes later, by its first reason', async () => {
  const lifeline = new Lifeline();
  const running = [1, 2].map(() => lifeline.run(() => new Promise(() => {})));
  lifeline.cut(new Error('gone'));
  lifeline.cut(new Error('again'));
  for (const work of running) await expect(work).rejects.toThrow('gone');
  let began = false;
  await expect(lifeline.run(async () => (began = true))).rejects.toThrow('gone');
  expect(began).toBe(false);
});

test('work that the cut broke is told by the cut, even if it fails first', async () => {
  const lifeline = new Lifeline();
  const work = lifeline.run(() => Promise.reject(new Error('mapAsync failed')));
  work.catch(() => {});
  await Promise.resolve();
  lifeline.cut(new Error('device lost'));
  await expect(work).rejects.toThrow('device lost');
});

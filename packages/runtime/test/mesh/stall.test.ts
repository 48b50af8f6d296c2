// How long a layer step stands still when peers fail, at defaults, on a clock of its own: deadlines count, the machine's load does not.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AnswerLedger } from '../../src/mesh/answer-ledger.ts';
import { ExpertExchange } from '../../src/mesh/expert-exchange.ts';
import { workOf, type ExpertWork } from '../../src/mesh/expert-work.ts';
import { Heartbeat } from '../../src/mesh/heartbeat.ts';
import { inTime } from '../../src/mesh/in-time.ts';
import { MESH_DEFAULTS } from '../../src/mesh/mesh-options.ts';
import { Peers } from '../../src/mesh/peers.ts';
import type { ExpertsPlan } from '../../src/mesh/plan-types.ts';
import { ShardExchange } from '../../src/mesh/shards/shard-exchange.ts';
import type { ControlMessage } from '../../src/mesh/transport/control-channel.ts';
import { MemoryLink } from './memory-link.ts';

const WIDTH = 4;
const EXPERTS = 8;
const MOST_MS = 1000;
/** What an expert takes anywhere, a check of it too. */
const COMPUTE_MS = 2;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Expert e multiplies by e + 1. */
async function compute({ tokens, counts, experts, weights, x }: ExpertWork): Promise<Float32Array<ArrayBuffer>> {
  await new Promise((done) => setTimeout(done, COMPUTE_MS));
  const sums = new Float32Array(tokens * WIDTH);
  let at = 0;
  for (let token = 0; token < tokens; token++) {
    for (const end = at + (counts[token] ?? 0); at < end; at++) {
      const factor = (weights[at] ?? 0) * ((experts[at] ?? 0) + 1);
      for (let i = token * WIDTH; i < (token + 1) * WIDTH; i++) sums[i] = (sums[i] ?? 0) + factor * (x[i] ?? 0);
    }
  }
  return sums;
}

/** Home, which holds no expert, and helpers: each alone holds an expert, and all of them hold the others. */
class Room {
  readonly peers = new Peers(WIDTH, { ...MESH_DEFAULTS, seed: 1 });
  readonly exchange = new ExpertExchange(this.peers, compute, () => WIDTH);
  readonly ledger = new AnswerLedger();
  readonly names: readonly string[];
  /** By the helper's name: its end. */
  readonly links = new Map<string, MemoryLink>();

  constructor(helpers: number) {
    this.names = Array.from({ length: helpers }, (_, i) => `helper ${i}`);
    for (const name of this.names) this.join(name);
    const holders = Array.from({ length: EXPERTS }, (_, expert) => this.names.slice(...(expert < helpers ? [expert, expert + 1] : [])));
    this.exchange.plan = { strategy: 'experts', version: 1, messagesPerToken: 2 * helpers, relays: new Map(), layers: [{ layer: 0, holders }] } satisfies ExpertsPlan;
  }

  join(name: string): void {
    const [atHome, atHelper] = MemoryLink.pair('home', name);
    this.peers.add(atHome);
    new Peers(WIDTH, MESH_DEFAULTS, { answer: ({ work }) => compute(work), pass: () => Promise.reject(new Error('no layers')), where: () => 'unknown', forget() {}, hold() {} }).add(atHelper);
    this.links.set(name, atHelper);
  }

  kill(name: string): void {
    this.peers.get(name)?.close('killed');
  }

  /** Steps of a token each, whose sums must be right. @param during what happens while a step's frames are on their way */
  async steps(count: number, during: (step: number) => void = () => {}): Promise<void> {
    for (let step = 0; step < count; step++) {
      const work = workOf(0, EXPERTS, Uint32Array.from({ length: EXPERTS }, (_, i) => i), new Float32Array(EXPERTS).fill(1), new Float32Array(WIDTH).fill(1));
      const { home, sums } = this.exchange.begin(work, { answer: this.ledger, position: step, isDecode: true });
      during(step);
      const away = Array.from({ length: EXPERTS }, (_, expert) => (home.has(expert) ? 0 : expert + 1));
      const right = new Float32Array(WIDTH).fill(away.reduce((sum, factor) => sum + factor));
      if (sums) expect(await passTime(sums)).toEqual(right);
    }
    this.exchange.end(this.ledger);
  }
}

/** Lets the clock run until it is there. */
async function passTime<T>(awaited: Promise<T>): Promise<T> {
  let isOver = false;
  awaited.finally(() => (isOver = true)).catch(() => {});
  for (let timers = 0; !isOver && timers < 10_000; timers++) await vi.advanceTimersToNextTimerAsync();
  return awaited;
}

describe.each([1, 2, 5])('with %i helpers a step stands still for a second at most where', (helpers) => {
  let room: Room;
  /** Answers by which home knows how long each takes, where it has met them. */
  const acquaintance = 20;
  beforeEach(() => void (room = new Room(helpers)));

  const freeze = (names: readonly string[]) => {
    for (const name of names) Object.assign(room.links.get(name)?.conditions ?? {}, { isFrozen: true });
  };

  it('one is killed at every tenth token and comes again', async () => {
    await room.steps(60, (step) => {
      const name = room.names[Math.floor(step / 10) % helpers] ?? '';
      if (step % 10 === 5) room.kill(name);
      if (step % 10 === 9) room.join(name);
    });
    // It is told of at once: nobody waits for the hedge.
    expect(room.ledger.counts.longestStallMs).toBeLessThan(50);
    expect(room.ledger.counts.resends + room.ledger.counts.failovers).toBeGreaterThanOrEqual(6);
  });

  it('all are killed at once', async () => {
    await room.steps(10, (step) => {
      if (step === 5) room.names.forEach((name) => room.kill(name));
    });
    expect(room.exchange.isAlone).toBe(true);
    expect(room.ledger.counts.longestStallMs).toBeLessThan(50);
  });

  it.each([0, acquaintance])('one freezes after %i answers', async (answers) => {
    await room.steps(answers + 10, (step) => {
      if (step === answers) freeze(room.names.slice(0, 1));
    });
    expect(room.ledger.counts.longestStallMs).toBeGreaterThan(0);
    expect(room.ledger.counts.longestStallMs).toBeLessThanOrEqual(MOST_MS);
    // It costs one step and no more: until it has answered nobody asks it.
    expect(room.ledger.counts.stepMs.filter((ms) => ms > 25)).toHaveLength(1);
  });

  it.each([0, acquaintance])('all freeze after %i answers', async (answers) => {
    await room.steps(answers + 10, (step) => {
      if (step === answers) freeze(room.names);
    });
    expect(room.exchange.isAlone).toBe(true);
    expect(room.ledger.counts.longestStallMs).toBeGreaterThan(0);
    expect(room.ledger.counts.longestStallMs).toBeLessThanOrEqual(MOST_MS);
  });

  it.each([100, 700, 5000])('one answers %i ms late', async (delayMs) => {
    Object.assign(room.links.get(room.names[0] ?? '')?.conditions ?? {}, { delayMs });
    await room.steps(acquaintance);
    expect(Math.max(...room.ledger.counts.stepMs)).toBeLessThanOrEqual(MOST_MS);
    expect(room.peers.banned.size).toBe(0);
  });
});

describe('a tab that stood still', () => {
  /** The clock goes on, timers do not. */
  function sleep(ms: number): void {
    const wokenAt = performance.now() + ms;
    vi.spyOn(performance, 'now').mockReturnValue(wokenAt);
  }
  afterEach(() => void vi.restoreAllMocks());

  it('does not take answers that came meanwhile for late', async () => {
    let answer = () => {};
    const asked = inTime(new Promise<string>((resolve) => (answer = () => resolve('in time'))), 500);
    // The timer goes off a minute late, before the answer that lies in the queue.
    sleep(60_000);
    await vi.advanceTimersByTimeAsync(500);
    answer();
    expect(await asked).toBe('in time');
  });

  it('waits no longer for what has not come', async () => {
    const asked = inTime(new Promise<string>(() => {}), 500);
    sleep(60_000);
    await vi.advanceTimersByTimeAsync(550);
    expect(await asked).toBe('late');
  });

  it.each([1000, 60_000])('keeps its peers where its timers go off every %i ms', async (throttledMs) => {
    const sent: ControlMessage[] = [];
    const silent = vi.fn();
    const control = { send: (message: ControlMessage) => void sent.push(message) };
    const beat = new Heartbeat(control, silent, () => {}, throttledMs);
    for (let round = 0; round < 20; round++) {
      for (const ping of sent.splice(0)) beat.receive({ ...ping, type: 'pong' });
      await vi.advanceTimersByTimeAsync(throttledMs);
    }
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(5 * throttledMs);
    expect(silent).toHaveBeenCalled();
    beat.stop();
  });
});

describe('a shard that a step waits for', () => {
  const shard = { id: 'layer.0.expert.0', kind: 'expert', ranges: [], byteLength: 100 } as const;
  const signal = new AbortController().signal;

  it('is given up on in time where peers are silent, and they are not asked again before they have said something', async () => {
    const exchange = new ShardExchange(async () => undefined, () => {});
    const [here, there] = MemoryLink.pair('home', 'helper');
    exchange.add(here);
    new ShardExchange(async () => new Uint8Array(100), () => {}).add(there);
    const fetch = () => passTime(exchange.fetch(shard, async () => true, signal, 200));
    expect(await fetch()).toHaveLength(100);
    there.conditions.isFrozen = true;
    const begun = performance.now();
    expect(await fetch()).toBeUndefined();
    expect(performance.now() - begun).toBe(200);
    const { length } = here.sent;
    expect(await fetch()).toBeUndefined();
    expect(here.sent).toHaveLength(length);
    there.thaw();
    expect(await fetch()).toHaveLength(100);
  });
});

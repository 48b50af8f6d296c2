// One plan for a room, over links in memory: who makes it, what others do by it, and what it knows of round trips.
import { describe, expect, it, vi } from 'vitest';
import type { MemberStatus } from '../../src/mesh/news-frames.ts';
import { MESH_DEFAULTS } from '../../src/mesh/mesh-options.ts';
import { Peers } from '../../src/mesh/peers.ts';
import { HOME, type MeshPlan } from '../../src/mesh/plan-types.ts';
import type { PlanOptions } from '../../src/mesh/planner/plan-room.ts';
import { slotsOf } from '../../src/mesh/planner/placement.ts';
import { RoomPlanner } from '../../src/worker/room-planner.ts';
import { MemoryLink } from './memory-link.ts';
import { falling, model } from './planner/rooms.ts';

const SHAPE = model(4, 16, 2);
const TOTAL = 4 * 16 * 1000;
const EXPERTS: PlanOptions = { strategy: 'experts', relays: true };
const WAIT = { timeout: 60_000 };

interface TestMember {
  readonly name: string;
  readonly memoryBytes: number;
  readonly peers: Peers;
  readonly planner: RoomPlanner;
  status: MemberStatus;
  plan: MeshPlan | undefined;
}

interface Given {
  readonly memory: number;
  readonly conversations?: number;
  readonly isHost?: boolean;
  readonly skew?: number;
  readonly options?: PlanOptions;
}

/** Members that have all met. @param roundTrip between two of them, in ms; undefined where it has not been measured */
function meet(given: Readonly<Record<string, Given>>, roundTrip: (a: string, b: string) => number | undefined = () => 5): Map<string, TestMember> {
  const names = Object.keys(given);
  const members = new Map(
    Object.entries(given).map(([name, { memory, conversations = 0, isHost = false, skew = 1, options = EXPERTS }]): [string, TestMember] => {
      const peers: Peers = new Peers(4, MESH_DEFAULTS, undefined, { onNews: (from, news) => planner.hear(from, news) });
      const measured = names.flatMap((other): [string, number][] => {
        const ms = other === name ? undefined : roundTrip(name, other);
        return ms === undefined ? [] : [[other, ms]];
      });
      const planner = new RoomPlanner({
        self: name,
        memoryBytes: memory * TOTAL,
        model: SHAPE,
        traffic: falling(SHAPE, skew),
        options,
        peers,
        status: () => member.status,
        onPlan: (plan) => (member.plan = plan),
      });
      const member: TestMember = { name, memoryBytes: memory * TOTAL, peers, planner, status: { isHost, conversations, roundTripsMs: new Map(measured) }, plan: undefined };
      return [name, member];
    }),
  );
  for (const [i, a] of [...members.values()].entries()) {
    for (const b of [...members.values()].slice(i + 1)) {
      const [atA, atB] = MemoryLink.pair(a.name, b.name);
      a.peers.add(atA);
      b.peers.add(atB);
      a.planner.join(b.name, b.memoryBytes);
      b.planner.join(a.name, a.memoryBytes);
    }
  }
  return members;
}

/** What a member's plan says of who holds what: [MoE layer][expert], in names. */
function holdersBy({ name, plan }: TestMember): string[][][] {
  if (plan?.strategy !== 'experts') return [];
  return plan.layers.map(({ holders }) => holders.map((peers) => peers.map((peer) => (peer === HOME ? name : peer)).toSorted()));
}

const agreed = (members: ReadonlyMap<string, TestMember>): boolean => new Set([...members.values()].map((member) => JSON.stringify(holdersBy(member)))).size === 1;

/** Experts of each layer that all plans together ask of each member, at most. */
function asked(members: ReadonlyMap<string, TestMember>): Map<string, number> {
  const most = new Map<string, number>();
  for (const [layer] of SHAPE.moeLayers.entries()) {
    const held = new Map<string, Set<number>>();
    for (const member of members.values()) {
      for (const [expert, names] of (holdersBy(member)[layer] ?? []).entries()) for (const name of names) held.set(name, (held.get(name) ?? new Set()).add(expert));
    }
    for (const [name, experts] of held) most.set(name, Math.max(most.get(name) ?? 0, experts.size));
  }
  return most;
}

const of = (members: ReadonlyMap<string, TestMember>, name: string): TestMember => {
  const member = members.get(name);
  if (!member) throw new Error(`no ${name}`);
  return member;
};

describe('one plan for a room', () => {
  it('several tabs with conversations ask nobody for more than fits, and all experts have a holder', async () => {
    // By itself each would fill the helpers with what it uses, which is not the same.
    const members = meet({ a: { memory: 0.25, conversations: 1, skew: 2 }, b: { memory: 0.25, conversations: 3, skew: 0.1 }, c: { memory: 0.3 }, d: { memory: 0.25 } });
    await vi.waitFor(() => expect(agreed(members)).toBe(true), WAIT);
    const most = asked(members);
    for (const { name, memoryBytes } of members.values()) expect(most.get(name) ?? 0).toBeLessThanOrEqual(slotsOf(SHAPE, 0, memoryBytes));
    for (const holders of holdersBy(of(members, 'b')).flat()) expect(holders.length).toBeGreaterThan(0);
  });

  it('who has conversations and comes first by name plans; where it leaves the next one goes on, and moves what it must', async () => {
    const members = meet({ a: { memory: 0.5 }, b: { memory: 0.5, conversations: 1 }, c: { memory: 0.5, conversations: 1, skew: 0.1 }, d: { memory: 0.5 } });
    await vi.waitFor(() => {
      expect(agreed(members)).toBe(true);
      expect(of(members, 'a').planner.leader).toBe('b');
    }, WAIT);
    const before = holdersBy(of(members, 'c'));
    members.delete('b');
    for (const { planner } of members.values()) planner.leave('b');
    await vi.waitFor(() => {
      expect(agreed(members)).toBe(true);
      expect(asked(members).has('b')).toBe(false);
    }, WAIT);
    expect(of(members, 'd').planner.leader).toBe('c');
    // What the others held they keep.
    for (const [layer, experts] of holdersBy(of(members, 'd')).entries()) {
      for (const [expert, holders] of experts.entries()) {
        const kept = before[layer]?.[expert]?.filter((name) => name !== 'b') ?? [];
        if (kept.length > 0) expect(holders.some((name) => kept.includes(name))).toBe(true);
        expect(holders.length).toBeGreaterThan(0);
      }
    }
  });

  it('the host plans before anybody has a conversation; a tab whose first one begins is planned for', async () => {
    const members = meet({ a: { memory: 0.4 }, b: { memory: 0.4, isHost: true }, c: { memory: 0.4 } });
    await vi.waitFor(() => {
      expect(agreed(members)).toBe(true);
      expect(of(members, 'c').planner.leader).toBe('b');
    }, WAIT);
    const b = of(members, 'b');
    const { plan } = b;
    b.status = { ...b.status, conversations: 1 };
    b.planner.tell();
    // It was planned for already.
    expect(b.plan).toBe(plan);
    const a = of(members, 'a');
    a.status = { ...a.status, conversations: 2 };
    a.planner.tell();
    expect(a.planner.leader).toBe('a');
    await vi.waitFor(() => {
      expect(agreed(members)).toBe(true);
      expect(of(members, 'c').planner.leader).toBe('a');
    }, WAIT);
  });

  it('a tab that wants experts spread has no layers elsewhere, whatever the others do', async () => {
    const layers: PlanOptions = { strategy: 'layers' };
    const members = meet({ a: { memory: 0.5, conversations: 1, options: layers }, b: { memory: 0.5, conversations: 1 }, c: { memory: 0.5, options: layers } });
    await vi.waitFor(() => expect([...members.values()].map(({ plan }) => plan?.strategy)).toEqual(['layers', 'experts', 'layers']), WAIT);
    // The same memory is meant: who has a layer has all of its experts.
    await vi.waitFor(() => {
      const { plan } = of(members, 'a');
      const far = plan?.strategy === 'layers' ? plan.ranges : [];
      expect(far.length).toBeGreaterThan(0);
      for (const { peer, first, end } of far) for (let layer = first; layer < end; layer++) expect(new Set(holdersBy(of(members, 'b'))[layer]?.flat())).toEqual(new Set([peer]));
    }, WAIT);
  });

  it('what is not about our model is not followed', async () => {
    const members = meet({ a: { memory: 0.5, conversations: 1 }, b: { memory: 0.6 } });
    await vi.waitFor(() => expect(agreed(members)).toBe(true), WAIT);
    const b = of(members, 'b');
    const { plan } = b;
    b.planner.hear('a', { kind: 'plan', plan: { version: 99, strategy: 'experts', holders: [[['a']]], stages: [] } });
    b.planner.hear('a', { kind: 'plan', plan: { version: 99, strategy: 'layers', holders: SHAPE.moeLayers.map(() => Array.from({ length: 16 }, () => ['a'])), stages: [{ peer: 'a', first: 3, end: 2 }] } });
    b.planner.replan();
    expect(b.plan).toBe(plan);
  });
});

describe('round trips between others', () => {
  const AT = new Map([['tab', 0], ['middle', 10], ['near', 5], ['far', 20]]);
  const apart = (a: string, b: string) => Math.abs((AT.get(a) ?? 0) - (AT.get(b) ?? 0));

  it('give the order of a chain', async () => {
    const options: PlanOptions = { strategy: 'layers' };
    const members = meet({ tab: { memory: 0.25, conversations: 1, options }, middle: { memory: 0.25, options }, near: { memory: 0.25, options }, far: { memory: 0.25, options } }, apart);
    await vi.waitFor(() => {
      const { plan } = of(members, 'tab');
      const order = plan?.strategy === 'layers' ? plan.ranges.map(({ peer }) => peer) : [];
      // There and back is as long the other way round.
      expect([['near', 'middle', 'far'], ['far', 'middle', 'near']]).toContainEqual(order);
    }, WAIT);
  });

  it('make a peer a relay, once they have been told, unless relays are switched off', async () => {
    const roundTrip = (a: string, b: string) => (new Set([a, b]).has('far') ? (new Set([a, b]).has('near') ? 2 : 200) : 4);
    for (const relays of [true, false]) {
      const members = meet({ tab: { memory: 0.2, conversations: 1, options: { ...EXPERTS, relays } }, near: { memory: 0.4 }, far: { memory: 0.4 } }, roundTrip);
      await vi.waitFor(() => expect(agreed(members)).toBe(true), WAIT);
      await vi.waitFor(() => {
        const { plan } = of(members, 'tab');
        expect(plan?.strategy === 'experts' && [...plan.relays]).toEqual(relays ? [['far', 'near']] : []);
      }, WAIT);
    }
  });
});

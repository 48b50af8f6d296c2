import type { MemberStatus } from '../mesh/news-frames.ts';
import type { RoomNews } from '../mesh/peer.ts';
import type { Peers } from '../mesh/peers.ts';
import type { MeshPlan, SharedPlan } from '../mesh/plan-types.ts';
import { followPlan, planRoom, type PlanOptions } from '../mesh/planner/plan-room.ts';
import type { ExpertTraffic, MeshModel } from '../mesh/planner/room.ts';
import { meshRoom, type Member } from './room-picture.ts';

/** A round trip is told anew where it has changed by so much, in milliseconds and as a share. */
const NOTICEABLE_MS = 1;
const NOTICEABLE_SHARE = 0.25;
/** What members tell within so many ms is planned with at one go, however much they talk. */
const GATHER_MS = 50;

/** What a member says before it has said anything. */
const SILENT: MemberStatus = { isHost: false, conversations: 0, roundTripsMs: new Map() };

export interface PlannerOf {
  /** Our own name. */
  readonly self: string;
  readonly memoryBytes: number;
  readonly model: MeshModel;
  readonly traffic: ExpertTraffic;
  readonly options: PlanOptions;
  readonly peers: Pick<Peers, 'get' | 'names'>;
  /** What we have measured: conversations at the same time, and round trips. */
  readonly status: () => MemberStatus;
  /** A plan to go by. */
  readonly onPlan: (plan: MeshPlan) => void;
}

/**
 * Sees to it that a room has one plan: of those who have conversations (the host, where nobody has) the one whose name comes first
 * plans for everybody and tells them, so that nobody is asked to hold more than fits. Members tell each other what that takes.
 */
export class RoomPlanner {
  /** Memory of the others, by name. */
  readonly #members = new Map<string, number>();
  readonly #statuses = new Map<string, MemberStatus>();
  /** What others have planned, the latest of each. */
  readonly #given = new Map<string, SharedPlan>();
  #told: MemberStatus = SILENT;
  /** Ours or another's, from which the next one goes on. */
  #latest: SharedPlan | undefined;
  /** Ours that the others know, as long as we plan. */
  #announced: SharedPlan | undefined;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #shown = '';
  #plan: MeshPlan | undefined;

  constructor(readonly of: PlannerOf) {}

  /** What we go by. */
  get plan(): MeshPlan | undefined {
    return this.#plan;
  }

  join(name: string, memoryBytes: number): void {
    this.#members.set(name, memoryBytes);
    this.#told = this.of.status();
    this.#send(name, { kind: 'status', status: this.#told });
    if (this.#announced) this.#send(name, { kind: 'plan', plan: this.#announced });
    this.replan();
  }

  leave(name: string): void {
    this.#members.delete(name);
    this.#statuses.delete(name);
    this.#given.delete(name);
    this.replan();
  }

  hear(name: string, news: RoomNews): void {
    if (news.kind === 'plan') {
      if (this.#fits(news.plan)) this.#given.set(name, news.plan);
    } else {
      const isNew = differs(news.status, this.#statuses.get(name) ?? SILENT);
      this.#statuses.set(name, news.status);
      if (!isNew) return;
    }
    this.#gathering ??= setTimeout(() => this.replan(), GATHER_MS);
  }

  /** Plans no more. */
  close(): void {
    clearTimeout(this.#gathering);
    this.#isClosed = true;
  }

  /** Tells the others where something has changed. */
  tell(): void {
    const status = this.of.status();
    if (!differs(status, this.#told)) return;
    this.#told = status;
    for (const name of this.#members.keys()) this.#send(name, { kind: 'status', status });
    this.replan();
  }

  /** @param anew gives the plan even where it is the same, so that peers that have failed are asked again */
  replan(anew = false): void {
    if (this.#isClosed) return;
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const { self, model, traffic, options } = this.of;
    const { leader } = this;
    const given = leader === self ? undefined : this.#given.get(leader);
    if (leader !== self) this.#announced = undefined;
    // Who plans will tell.
    if (leader !== self && !given) return;
    const room = meshRoom(this.#room());
    const { tabs, ...made } = given ? followPlan(model, room, traffic, given, options) : planRoom(model, room, traffic, options, this.#latest);
    this.#latest = given ?? made;
    if (!given && !isSame(made, this.#announced)) {
      this.#announced = made;
      for (const name of this.#members.keys()) this.#send(name, { kind: 'plan', plan: made });
    }
    const plan = tabs.get(self)?.plan;
    if (!plan) return;
    const shown = JSON.stringify(plan.strategy === 'experts' ? [plan.layers, [...plan.relays]] : plan.ranges);
    if (shown === this.#shown && !anew) return;
    this.#shown = shown;
    this.#plan = plan;
    this.of.onPlan(plan);
  }

  /** Ourselves first. Where nobody has a conversation the host is taken to have one. */
  #room(): Member[] {
    const { self, memoryBytes, status } = this.of;
    const all: Member[] = [{ name: self, memoryBytes, status: status() }, ...Array.from(this.#members, ([name, bytes]) => ({ name, memoryBytes: bytes, status: this.#statuses.get(name) ?? SILENT }))];
    if (all.some((member) => member.status.conversations > 0)) return all;
    return all.map((member) => (member.status.isHost ? { ...member, status: { ...member.status, conversations: 1 } } : member));
  }

  /** Who plans. */
  get leader(): string {
    const all = this.#room();
    const busy = all.filter(({ status }) => status.conversations > 0);
    return (busy.length > 0 ? busy : all).reduce((first, { name }) => (name < first ? name : first), busy[0]?.name ?? this.of.self);
  }

  /** Whether it is about our model. */
  #fits({ holders, stages }: SharedPlan): boolean {
    const { moeLayers, layerCount } = this.of.model;
    const areStages = stages.every(({ first, end }, i) => first < end && end <= layerCount && first >= (stages[i - 1]?.end ?? 0));
    return areStages && holders.length === moeLayers.length && moeLayers.every(({ experts }, i) => holders[i]?.length === experts);
  }

  #send(name: string, news: RoomNews): void {
    this.of.peers.get(name)?.send(news).catch(() => {});
  }
}

function isSame(a: SharedPlan, b: SharedPlan | undefined): boolean {
  const parts = ({ strategy, holders, stages }: SharedPlan) => JSON.stringify([strategy, holders, stages]);
  return b !== undefined && parts(a) === parts(b);
}

function differs(now: MemberStatus, told: MemberStatus): boolean {
  if (now.isHost !== told.isHost || now.conversations !== told.conversations || now.roundTripsMs.size !== told.roundTripsMs.size) return true;
  return [...now.roundTripsMs].some(([name, ms]) => {
    const before = told.roundTripsMs.get(name) ?? Infinity;
    return Math.abs(ms - before) > Math.max(NOTICEABLE_MS, NOTICEABLE_SHARE * before);
  });
}

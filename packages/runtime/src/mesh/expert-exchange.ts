import type { AnswerLedger } from './answer-ledger.ts';
import { Convoy } from './convoy.ts';
import { addRows, takeExperts, type ComputeExperts, type ExpertWork, type WorkPart } from './expert-work.ts';
import { answerFrameBytes, workFrameBytes } from './frames.ts';
import { inTime } from './in-time.ts';
import type { Answer, Peer } from './peer.ts';
import type { Peers } from './peers.ts';
import { HOME, type ExpertsPlan } from './plan-types.ts';
import { areFinite, CheckDraw, difference, resultTolerance } from './result-check.ts';
import { splitExperts, throughRelays } from './split.ts';
import { readRows, rowBytes, writeRows, type WireFormat } from './wire-format.ts';

/** Checks under way at a time; a step waits before there are more. */
const MOST_CHECKS = 4;

/** First results of a peer that are all checked, where any are: who lies often is found before much rests on it. */
const PROBATION = 8;

/** A step waits for peers no longer than so many times the longest hedge time, however many hold an expert. */
const STEP_PATIENCE = 1.5;

/** The pass that a layer step belongs to. */
export interface StepOf {
  readonly answer: AnswerLedger;
  /** Of the pass's first token. */
  readonly position: number;
  readonly isDecode: boolean;
}

/** A layer step of which peers compute a part. */
export interface Flight {
  /** What is left to do at home meanwhile. */
  readonly home: ReadonlySet<number>;
  /**
   * [tokens, d]: the sums over all experts that are not in `home`. Waits for peers no longer than they usually take; what
   * they owe is then computed by others, or here. Undefined where home has everything. Throws what computing here throws.
   */
  readonly sums: Promise<Float32Array<ArrayBuffer>> | undefined;
}

interface PeerPart extends WorkPart {
  readonly peer: string;
  /** Some of it the peer gets from others. */
  readonly relay: boolean;
}

/** A layer step of some answers under way, by the plan that it began with. */
interface Step {
  /** Those whose tokens it has: they share what it costs. */
  readonly answers: readonly StepOf[];
  readonly layers: ExpertsPlan['layers'];
  readonly relays: ExpertsPlan['relays'];
  /** Then nobody is waited for any more: home does the rest. */
  readonly endsAt: number;
  /** Somebody was late or failed. */
  stalled: boolean;
}

const NO_RELAYS: ExpertsPlan['relays'] = new Map();

/**
 * Sends each layer step's tokens to the peers that hold their experts, and sees to it that the sums come, and are right:
 * a peer that is late, gone or refuses is stood in for within the step; one whose result fails a check is banned.
 */
export class ExpertExchange {
  readonly #checks = new Set<Promise<void>>();
  readonly #draw: CheckDraw;
  #results = 0;
  readonly convoy = new Convoy((work, answers) => this.#exchange(work, answers));
  plan: ExpertsPlan | undefined;

  /** @param compute does work at home: in a peer's stead, and to check it @param expertWidth hidden width of a layer's experts */
  constructor(
    readonly peers: Peers,
    readonly compute: ComputeExperts,
    readonly expertWidth: (layer: number) => number,
  ) {
    const { checkShare, seed } = peers.options;
    this.#draw = new CheckDraw(checkShare, seed);
  }

  /** Whether no peer can help now. */
  get isAlone(): boolean {
    return !this.plan || !this.peers.names.some((name) => this.peers.isReady(name));
  }

  /** Shares a layer step out and sends its frames; with other conversations, when all have come to a step. */
  begin(work: ExpertWork, of: StepOf): Flight {
    const { counts } = of.answer;
    counts.choices += work.experts.length;
    const home = this.#split(work, this.#step([of]), new Set()).home;
    const away = takeExperts(work, new Set(Array.from(work.experts).filter((expert) => !home.has(expert))));
    if (!away) {
      // Others need not wait for who may not come to a step for long.
      this.end(of.answer);
      return { home, sums: undefined };
    }
    counts.remoteChoices += away.work.experts.length;
    const sums = this.#awaySums(away, work, of);
    // Who begins a step may fail before it comes to wait for this.
    sums.catch(() => {});
    return { home, sums };
  }

  /** An answer goes on without peers, or has ended: other conversations do not wait for it. */
  end(answer: AnswerLedger): void {
    this.convoy.leave(answer);
  }

  /** Does work for a peer: what others hold, by our own plan, is passed on to them. Throws what computing here throws. */
  relay(work: ExpertWork): Promise<Float32Array<ArrayBuffer>> {
    const step = { ...this.#step([]), relays: NO_RELAYS };
    return this.#sums(work, new Set(), step);
  }

  /** Waits until all results that were drawn have been checked. */
  async settled(): Promise<void> {
    await Promise.all(this.#checks);
  }

  #step(answers: readonly StepOf[]): Step {
    const endsAt = performance.now() + STEP_PATIENCE * this.peers.options.hedge.mostMs;
    return { answers, layers: this.plan?.layers ?? [], relays: this.plan?.relays ?? NO_RELAYS, endsAt, stalled: false };
  }

  async #awaySums(away: WorkPart, work: ExpertWork, of: StepOf): Promise<Float32Array<ArrayBuffer>> {
    const sums = new Float32Array(work.x.length);
    addRows(sums, await (of.isDecode ? this.convoy.step(away.work, of) : this.#exchange(away.work, [of])), away.rows, this.peers.width);
    return sums;
  }

  #split(work: ExpertWork, { layers, relays, endsAt }: Step, tried: ReadonlySet<string>): { readonly home: ReadonlySet<number>; readonly parts: readonly PeerPart[] } {
    const hasTime = performance.now() < endsAt;
    const canAsk = (peer: string) => hasTime && !tried.has(peer) && this.peers.isReady(peer);
    const holders = layers.find(({ layer }) => layer === work.layer)?.holders ?? [];
    const split = splitExperts(work.experts, holders, canAsk);
    const home = split.get(HOME) ?? new Set();
    const parts = [...throughRelays(split, relays, canAsk)].flatMap(([peer, { experts, relay }]) => {
      const part = takeExperts(work, experts);
      return part ? [{ peer, relay, ...part }] : [];
    });
    return { home, parts };
  }

  /** Asks for the sums of what is not home's. */
  async #exchange(work: ExpertWork, answers: readonly StepOf[]): Promise<Float32Array<ArrayBuffer>> {
    const begun = performance.now();
    const step = this.#step(answers);
    const sums = await this.#sums(work, new Set(), step);
    const ms = performance.now() - begun;
    for (const { answer: { counts } } of answers) {
      counts.stepMs.push(ms);
      if (step.stalled) counts.longestStallMs = Math.max(counts.longestStallMs, ms);
    }
    if (this.#checks.size >= MOST_CHECKS) await Promise.race(this.#checks);
    return sums;
  }

  async #result(part: PeerPart, tried: ReadonlySet<string>, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { peer: name, work } = part;
    const peer = this.peers.get(name);
    const without = new Set([...tried, name]);
    if (!peer) return this.#sums(work, without, step);
    const asked = this.#ask(peer, part, step);
    const first = await inTime(asked, Math.min(peer.times.hedgeMs(work.tokens), step.endsAt - performance.now()));
    if (typeof first !== 'string') return first;
    step.stalled = true;
    peer.rest(first);
    return firstOf(asked, this.#sums(work, without, step));
  }

  /** Sums of what home computes in somebody's stead and of what others are asked, added up in the order of the peers' names, whoever answers first. */
  async #sums(work: ExpertWork, tried: ReadonlySet<string>, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { width } = this.peers;
    const { home, parts } = this.#split(work, step, tried);
    const own = takeExperts(work, home);
    if (tried.size > 0) this.#count(step, 'resends', parts.length);
    if (own) this.#count(step, 'failovers', 1);
    const [ownSums, ...others] = await Promise.all([own && this.compute(own.work), ...parts.map((part) => this.#result(part, tried, step))]);
    const sums = new Float32Array(work.tokens * width);
    if (own && ownSums) addRows(sums, ownSums, own.rows, width);
    for (const [i, { rows }] of parts.entries()) addRows(sums, others[i] ?? new Float32Array(0), rows, width);
    return sums;
  }

  async #ask(peer: Peer, { work, relay }: PeerPart, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { wire } = this.peers.options;
    const { width } = this.peers;
    this.#countFrame(step, 'bytesSent', workFrameBytes(wire, work.tokens, work.experts.length, width));
    const { rows }: Answer = await peer.ask(work.tokens, (id) => ({ kind: 'work', id, format: wire, relay, work }));
    this.#countFrame(step, 'bytesReceived', answerFrameBytes(wire, work.tokens, width));
    // The model's own numbers may have overflowed: that is seen at home.
    if (!areFinite(rows)) return this.#judgeBroken(peer.name, work);
    const result = ++this.#results;
    for (const { answer, position } of step.answers) answer.use(peer.name, result, position);
    peer.results++;
    if (this.#draw.next() || (peer.results <= PROBATION && this.#draw.share > 0)) this.#check(peer.name, work, rows, result, step);
    return rows;
  }

  /** What several answers share counts as a part for each. */
  #count({ answers }: Step, what: 'resends' | 'failovers' | 'checks', times: number): void {
    for (const { answer } of answers) answer.counts[what] += times / answers.length;
  }

  #countFrame({ answers }: Step, way: 'bytesSent' | 'bytesReceived', bytes: number): void {
    for (const { answer, isDecode } of answers) {
      const { counts } = answer;
      counts[way] += bytes / answers.length;
      counts.messages += 1 / answers.length;
      if (!isDecode) continue;
      counts.decodeBytes += bytes / answers.length;
      counts.decodeMessages += 1 / answers.length;
    }
  }

  async #judgeBroken(peer: string, work: ExpertWork): Promise<Float32Array<ArrayBuffer>> {
    const own = await this.compute(asReceived(work, this.peers.options.wire));
    if (areFinite(own)) this.peers.ban(peer, 'gave a result that is not finite');
    return own;
  }

  #check(peer: string, work: ExpertWork, rows: Float32Array, result: number, step: Step): void {
    const { wire } = this.peers.options;
    const { width } = this.peers;
    this.#count(step, 'checks', 1);
    const check = async (): Promise<void> => {
      // What cannot be computed here, e.g. since an expert cannot be had, cannot be checked.
      const own = await this.compute(asReceived(work, wire)).catch(() => undefined);
      const wrong = own && difference(rows, own, width, resultTolerance(width, this.expertWidth(work.layer), wire));
      if (wrong !== undefined) this.peers.ban(peer, wrong);
      else if (own) this.peers.vouch(peer, result);
    };
    const running = check().finally(() => this.#checks.delete(running));
    this.#checks.add(running);
  }
}

/** The work as the peer gets it, rounded by the wire. */
function asReceived(work: ExpertWork, format: WireFormat): ExpertWork {
  if (format === 'f32') return work;
  const width = work.x.length / work.tokens;
  const wire = new DataView(new ArrayBuffer(work.tokens * rowBytes(format, width)));
  writeRows(format, work.x, width, wire);
  return { ...work, x: readRows(format, wire, work.tokens, width) };
}

/** The first that comes; where the peer fails, the other one's result or failure. */
async function firstOf<T>(asked: Promise<T>, other: Promise<T>): Promise<T> {
  return Promise.race([asked.catch(() => other), other.catch((error: unknown) => asked.catch(() => Promise.reject(error)))]);
}

import { AnswerLedger } from './answer-ledger.ts';
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

/** A layer step under way, by the plan that it began with. */
interface Step extends StepOf {
  readonly holders: readonly (readonly string[])[];
  readonly relays: ExpertsPlan['relays'];
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

  /** Sends a layer step's frames. */
  begin(work: ExpertWork, of: StepOf): Flight {
    const step = { ...of, holders: this.#holders(work), relays: this.plan?.relays ?? NO_RELAYS };
    const { home, parts } = this.#split(work, step, new Set());
    const { counts } = of.answer;
    counts.choices += work.experts.length;
    if (parts.length === 0) return { home, sums: undefined };
    counts.remoteChoices += parts.reduce((sum, part) => sum + part.work.experts.length, 0);
    const sums = this.#sums(work, parts, step);
    // Who begins a step may fail before it comes to wait for this.
    sums.catch(() => {});
    return { home, sums };
  }

  /** Does work for a peer: what others hold, by our own plan, is passed on to them. Throws what computing here throws. */
  relay(work: ExpertWork): Promise<Float32Array<ArrayBuffer>> {
    const step = { answer: new AnswerLedger(), position: 0, isDecode: false, holders: this.#holders(work), relays: NO_RELAYS };
    return this.#elsewhere(work, new Set(), step);
  }

  /** Waits until all results that were drawn have been checked. */
  async settled(): Promise<void> {
    await Promise.all(this.#checks);
  }

  #holders({ layer }: ExpertWork): readonly (readonly string[])[] {
    return this.plan?.layers.find((placement) => placement.layer === layer)?.holders ?? [];
  }

  #split(work: ExpertWork, { holders, relays }: Step, tried: ReadonlySet<string>): { readonly home: ReadonlySet<number>; readonly parts: readonly PeerPart[] } {
    const canAsk = (peer: string) => !tried.has(peer) && this.peers.isReady(peer);
    const split = splitExperts(work.experts, holders, canAsk);
    const home = split.get(HOME) ?? new Set();
    const parts = [...throughRelays(split, relays, canAsk)].flatMap(([peer, { experts, relay }]) => {
      const part = takeExperts(work, experts);
      return part ? [{ peer, relay, ...part }] : [];
    });
    return { home, parts };
  }

  /** Adds up in the order of the peers' names, whoever answers first. */
  async #sums(work: ExpertWork, parts: readonly PeerPart[], step: Step): Promise<Float32Array<ArrayBuffer>> {
    const begun = performance.now();
    const { width } = this.peers;
    const results = await Promise.all(parts.map((part) => this.#result(part, new Set(), step)));
    step.answer.counts.stepMs.push(performance.now() - begun);
    const sums = new Float32Array(work.tokens * width);
    for (const [i, { rows }] of parts.entries()) addRows(sums, results[i] ?? new Float32Array(0), rows, width);
    if (this.#checks.size >= MOST_CHECKS) await Promise.race(this.#checks);
    return sums;
  }

  async #result(part: PeerPart, tried: ReadonlySet<string>, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { peer: name, work } = part;
    const peer = this.peers.get(name);
    const without = new Set([...tried, name]);
    if (!peer) return this.#elsewhere(work, without, step);
    const asked = this.#ask(peer, part, step);
    const first = await inTime(asked, peer.times.hedgeMs(work.tokens));
    if (typeof first !== 'string') return first;
    peer.rest(first);
    return firstOf(asked, this.#elsewhere(work, without, step));
  }

  /** Somebody else does what a peer was asked: other holders, or home. */
  async #elsewhere(work: ExpertWork, tried: ReadonlySet<string>, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { width } = this.peers;
    const { home, parts } = this.#split(work, step, tried);
    const { counts } = step.answer;
    const own = takeExperts(work, home);
    counts.resends += parts.length;
    counts.failovers += own ? 1 : 0;
    const [ownSums, ...others] = await Promise.all([own && this.compute(own.work), ...parts.map((part) => this.#result(part, tried, step))]);
    const sums = new Float32Array(work.tokens * width);
    if (own && ownSums) addRows(sums, ownSums, own.rows, width);
    for (const [i, { rows }] of parts.entries()) addRows(sums, others[i] ?? new Float32Array(0), rows, width);
    return sums;
  }

  async #ask(peer: Peer, { work, relay }: PeerPart, step: Step): Promise<Float32Array<ArrayBuffer>> {
    const { wire } = this.peers.options;
    const { width } = this.peers;
    this.#count(step, 'bytesSent', workFrameBytes(wire, work.tokens, work.experts.length, width));
    const { rows }: Answer = await peer.ask(work.tokens, (id) => ({ kind: 'work', id, format: wire, relay, work }));
    this.#count(step, 'bytesReceived', answerFrameBytes(wire, work.tokens, width));
    // The model's own numbers may have overflowed: that is seen at home.
    if (!areFinite(rows)) return this.#judgeBroken(peer.name, work);
    const result = ++this.#results;
    step.answer.use(peer.name, result, step.position);
    if (this.#draw.next()) this.#check(peer.name, work, rows, result, step);
    return rows;
  }

  #count({ answer: { counts }, isDecode }: Step, way: 'bytesSent' | 'bytesReceived', bytes: number): void {
    counts[way] += bytes;
    counts.messages++;
    if (!isDecode) return;
    counts.decodeBytes += bytes;
    counts.decodeMessages++;
  }

  async #judgeBroken(peer: string, work: ExpertWork): Promise<Float32Array<ArrayBuffer>> {
    const own = await this.compute(asReceived(work, this.peers.options.wire));
    if (areFinite(own)) this.peers.ban(peer, 'gave a result that is not finite');
    return own;
  }

  #check(peer: string, work: ExpertWork, rows: Float32Array, result: number, step: Step): void {
    const { wire } = this.peers.options;
    const { width } = this.peers;
    step.answer.counts.checks++;
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

import type { AnswerLedger } from './answer-ledger.ts';
import { answerFrameBytes, layersFrameBytes, type LayersWork, type Whereabouts } from './frames.ts';
import { inTime } from './in-time.ts';
import type { PassNews } from './peer.ts';
import type { Peers } from './peers.ts';
import type { LayerRange } from './plan-types.ts';
import { ResponseTimes } from './response-times.ts';
import { areFinite } from './result-check.ts';

/** A pass through layers takes longer than one step's experts, and standing in for a peer costs the whole conversation. With each peer one more. */
const PATIENCE = 3;

/** What goes through a chain of peers. */
type Pass = Omit<LayersWork, 'origin' | 'route'>;
type Rows = Float32Array<ArrayBuffer>;

/** What came of a pass: how far it went, or who has ended it. */
type Outcome = { readonly rows: Rows; readonly done: readonly LayerRange[] } | { readonly lost: readonly string[]; readonly reason: string };

interface Pending {
  readonly route: readonly LayerRange[];
  readonly tokens: number;
  readonly resolve: (outcome: Outcome) => void;
}

/** Our passes through peers' layers: each goes from peer to peer, and the last one sends it home. */
export class LayerPasses {
  readonly #pending = new Map<number, Pending>();
  /** Who is asked where a pass is. */
  readonly #asked = new Map<string, (state: Whereabouts) => void>();
  readonly #times = new Map<string, ResponseTimes>();
  /** A chain gave what is not finite: each peer is asked by itself, so that it shows whose it is. */
  #singly = false;
  #nextId = 1;

  constructor(readonly peers: Peers) {}

  /**
   * The residual stream after a chain of layers, [tokens, d]. Where a peer fails, is late or gives nonsense, whom to do without (nobody
   * where that will show): the ledger then says that all is to be computed again. Where one can't reach the next, the pass comes home and goes on from there.
   */
  async run(chain: readonly LayerRange[], pass: Pass, ledger: AnswerLedger): Promise<Rows | { readonly without: readonly string[] }> {
    let { x } = pass;
    for (let left = chain; left.length > 0; ) {
      const outcome = await this.#go(this.#singly ? left.slice(0, 1) : left, { ...pass, x }, ledger);
      if (!('lost' in outcome)) {
        x = outcome.rows;
        left = left.slice(outcome.done.length);
        continue;
      }
      ledger.counts.messages++;
      ledger.counts.failovers++;
      ledger.revise(0, outcome.lost.join(', '), outcome.reason);
      return { without: outcome.lost.length > 1 ? [] : outcome.lost };
    }
    return x;
  }

  /** A peer tells of a pass. What nobody waits for any more is dropped. */
  hear(peer: string, news: PassNews): void {
    if (news.kind === 'here') return this.#asked.get(`${peer} ${news.id}`)?.(news.state);
    const pending = this.#pending.get(news.id);
    const place = pending?.route.findIndex((range) => range.peer === peer) ?? -1;
    if (!pending || place < 0) return;
    if (news.kind === 'stopped') {
      this.peers.get(peer)?.rest('failed');
      return pending.resolve({ lost: [peer], reason: 'does not do what it was asked' });
    }
    const done = pending.route.slice(0, place + 1);
    if (news.tokens === pending.tokens && news.end === done.at(-1)?.end) pending.resolve({ rows: news.rows, done });
    else this.peers.ban(peer, 'answered what was not asked');
  }

  /** What would go through it does not come home. */
  lose(peer: string): void {
    for (const { route, resolve } of this.#pending.values()) if (route.some((range) => range.peer === peer)) resolve({ lost: [peer], reason: 'is gone' });
  }

  /** A peer was sent away: chains of the others are to be trusted again. */
  without(peer: string): void {
    this.#singly = false;
    for (const route of this.#times.keys()) if (route.split(' ').includes(peer)) this.#times.delete(route);
  }

  async #go(route: readonly LayerRange[], pass: Pass, ledger: AnswerLedger): Promise<Outcome> {
    const id = this.#nextId++;
    const { tokens } = pass;
    const { wire } = this.peers.options;
    const times = this.#timesOf(route);
    const begun = performance.now();
    const arrived = new Promise<Outcome>((resolve) => this.#pending.set(id, { route, tokens, resolve }));
    this.#begin(id, route, pass);
    const first = await inTime(arrived, (PATIENCE + route.length) * times.hedgeMs(tokens));
    // It may still come while we ask.
    const outcome = typeof first === 'string' ? await Promise.race([arrived, this.#late(id, route)]) : first;
    this.#pending.delete(id);
    if ('lost' in outcome) return outcome;
    const ms = performance.now() - begun;
    if (outcome.done.length === route.length) times.add(tokens, ms);
    ledger.counts.stepMs.push(ms);
    for (const { peer } of outcome.done) this.peers.get(peer)?.recover();
    const { width } = this.peers;
    // All names of a room are as long: ours as any.
    const sent = outcome.done.reduce((sum, { peer }, i) => sum + layersFrameBytes(wire, { origin: i === 0 ? '' : peer, route: route.slice(i), tokens }, width), 0);
    count(ledger, tokens, outcome.done.length, sent, answerFrameBytes(wire, tokens, width));
    return areFinite(outcome.rows) || !areFinite(pass.x) ? outcome : this.#judge(outcome.done);
  }

  #begin(id: number, route: readonly LayerRange[], pass: Pass): void {
    const name = route[0]?.peer ?? '';
    const gone = () => this.#pending.get(id)?.resolve({ lost: [name], reason: 'is gone' });
    const peer = this.peers.get(name);
    if (!peer) return gone();
    peer.send({ kind: 'layers', id, format: this.peers.options.wire, work: { ...pass, origin: '', route } }).catch(gone);
  }

  #timesOf(route: readonly LayerRange[]): ResponseTimes {
    const key = route.map(({ peer }) => peer).join(' ');
    const times = this.#times.get(key) ?? new ResponseTimes(this.peers.options.hedge);
    this.#times.set(key, times);
    return times;
  }

  /** Asks all of a route where the pass is: the first one that has not sent it on keeps it. */
  async #late(id: number, route: readonly LayerRange[]): Promise<Outcome> {
    const states = await Promise.all(route.map(({ peer }) => this.#where(id, peer)));
    const place = states.findIndex((state) => state !== 'on');
    const lost = (route[place] ?? route.at(-1))?.peer ?? '';
    this.peers.get(lost)?.rest(states[place] === undefined && place >= 0 ? 'late' : 'failed');
    return { lost: [lost], reason: 'is late' };
  }

  /** Undefined where it does not say. */
  async #where(id: number, name: string): Promise<Whereabouts | undefined> {
    const key = `${name} ${id}`;
    const told = new Promise<Whereabouts>((resolve, reject) => {
      this.#asked.set(key, resolve);
      const peer = this.peers.get(name);
      if (peer) peer.send({ kind: 'where', id }).catch(reject);
      else reject(new Error('gone'));
    });
    const state = await inTime(told, this.peers.options.hedge.mostMs);
    this.#asked.delete(key);
    return state === 'late' || state === 'failed' ? undefined : state;
  }

  /** What is not finite came of finite numbers. */
  #judge(done: readonly LayerRange[]): Outcome {
    const reason = 'gave a result that is not finite';
    const [first] = done;
    if (done.length === 1 && first) this.peers.ban(first.peer, reason);
    else this.#singly = true;
    return { lost: done.map(({ peer }) => peer), reason };
  }
}

/** A pass that went through so many peers: a frame to each of them, and one home. */
function count({ counts }: AnswerLedger, tokens: number, peers: number, sent: number, received: number): void {
  counts.messages += peers + 1;
  counts.bytesSent += sent;
  counts.bytesReceived += received;
  counts.choices += tokens * peers;
  counts.remoteChoices += tokens * peers;
  if (tokens !== 1) return;
  counts.decodeMessages += peers + 1;
  counts.decodeBytes += sent + received;
}

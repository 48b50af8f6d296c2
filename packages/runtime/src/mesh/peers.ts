import type { AnswerLedger } from './answer-ledger.ts';
import type { PeerLink } from './link.ts';
import type { MeshOptions } from './mesh-options.ts';
import { LayerPasses } from './layer-passes.ts';
import { Peer, type RequestHandler, type RoomNews } from './peer.ts';

/** What happens to peers. */
export interface PeersEvents {
  readonly onLeave?: (peer: string, reason: string) => void;
  readonly onBan?: (peer: string, reason: string) => void;
  readonly onNews?: (peer: string, news: RoomNews) => void;
}

/** The peers that a tab works with, and the answers that rest on them. */
export class Peers {
  readonly #peers = new Map<string, Peer>();
  readonly #banned = new Map<string, string>();
  readonly #answers = new Set<AnswerLedger>();
  /** Ours through peers' layers. */
  readonly passes = new LayerPasses(this);

  /** @param width values of a token's row, d @param handler does what peers ask; without it they are refused */
  constructor(
    readonly width: number,
    readonly options: MeshOptions,
    readonly handler?: RequestHandler,
    readonly events: PeersEvents = {},
  ) {}

  /** Works with the peer at the link's other end until it closes. One that is banned is turned away. */
  add(link: PeerLink): void {
    const reason = this.#banned.get(link.peer);
    if (reason !== undefined) return link.close(`banned: it ${reason}`);
    this.#peers.get(link.peer)?.close('it has come again');
    const peer = new Peer(link, this.width, this.options, this.handler, {
      onPass: ({ name }, news) => this.passes.hear(name, news),
      onNews: ({ name }, news) => this.events.onNews?.(name, news),
      onClose: (closed, why) => this.#left(closed, why),
      onFault: ({ name }, fault) => this.ban(name, fault),
    });
    this.#peers.set(link.peer, peer);
  }

  get(name: string): Peer | undefined {
    return this.#peers.get(name);
  }

  get names(): readonly string[] {
    return [...this.#peers.keys()];
  }

  /** Peers that were sent away, with the reason. */
  get banned(): ReadonlyMap<string, string> {
    return this.#banned;
  }

  isReady(name: string): boolean {
    return this.#peers.get(name)?.isReady ?? false;
  }

  /** Ends what we have with a peer, for good; answers in flight drop what rests on it alone. @param reason as in "which …" */
  ban(name: string, reason: string): void {
    if (this.#banned.has(name)) return;
    this.#banned.set(name, reason);
    this.#peers.get(name)?.close(`banned: it ${reason}`);
    for (const answer of this.#answers) answer.distrust(name, reason);
    this.passes.without(name);
    this.events.onBan?.(name, reason);
  }

  /** A peer's result was found right. */
  vouch(name: string, result: number): void {
    for (const answer of this.#answers) answer.vouch(name, result);
  }

  /** An answer is told of bans until it has ended. */
  begin(answer: AnswerLedger): void {
    this.#answers.add(answer);
  }

  end(answer: AnswerLedger): void {
    this.#answers.delete(answer);
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.close('this tab has left the room');
  }

  #left(peer: Peer, reason: string): void {
    if (this.#peers.get(peer.name) !== peer) return;
    this.#peers.delete(peer.name);
    this.passes.lose(peer.name);
    this.events.onLeave?.(peer.name, reason);
  }
}

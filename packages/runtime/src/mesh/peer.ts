import type { ExpertName } from '../api/types.ts';
import { GatefoldError } from '../errors.ts';
import { LinkClosedError } from './errors.ts';
import { decodeFrame, encodeFrame, FrameFormatError, type Frame, type Refusal, type Whereabouts } from './frames.ts';
import type { PeerLink } from './link.ts';
import type { MeshOptions } from './mesh-options.ts';
import { ResponseTimes } from './response-times.ts';

/** Requests of one peer that are worked on or wait; more are refused. */
const MOST_REQUESTS = 32;
/** A peer that was late or failed gets a rest, longer each time. */
const REST_MS = 100;
const LONGEST_REST_MS = 30_000;

/** A layer step that one peer asks of another. */
export type Request = Extract<Frame, { readonly kind: 'work' }>;
/** A pass through layers that has come to a peer. */
export type LayersRequest = Extract<Frame, { readonly kind: 'layers' }>;
/** What the origin of a pass through layers hears of it. */
export type PassNews = Extract<Frame, { readonly kind: 'passed' | 'stopped' | 'here' }>;

/** What a member of a room tells all others. */
export type RoomNews = Extract<Frame, { readonly kind: 'status' | 'plan' }>;

/** A peer refuses, or cannot do, what it was asked. */
export class RefusedError extends GatefoldError {
  override readonly name = 'RefusedError';
  constructor(readonly peer: string, readonly reason: Refusal) {
    super('peer-refused', `Peer ${peer} does not do what it was asked: ${reason}.`, { peer, reason });
  }
}

/** Does what a peer asks. Throws `RefusedError` to say why not; `peer` is who asks. */
export interface RequestHandler {
  answer(request: Request, peer: string): Promise<Float32Array<ArrayBuffer>>;
  /** Runs a pass through its layers, and sends it on; the origin is told where it can't. */
  pass(request: LayersRequest, peer: string): Promise<void>;
  /** How far a pass of the peer has come here. */
  where(pass: number, peer: string): Whereabouts;
  /** A peer's conversation has ended, or all of them with the peer. */
  forget(peer: string, conversation?: number): void;
  /** These will be asked for. */
  hold(experts: readonly ExpertName[]): void;
}

export interface PeerEvents {
  readonly onPass: (peer: Peer, news: PassNews) => void;
  readonly onNews: (peer: Peer, news: RoomNews) => void;
  readonly onClose: (peer: Peer, reason: string) => void;
  /** The peer did what no honest one does. */
  readonly onFault: (peer: Peer, reason: string) => void;
}

/** A peer's answer. */
export interface Answer {
  /** [tokens, width] */
  readonly rows: Float32Array<ArrayBuffer>;
  readonly ms: number;
}

interface Pending {
  readonly tokens: number;
  readonly sentAt: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/** A peer over its link: requests and their answers, both ways. One that is late or fails gets a rest; whether it lives is the link's to tell. */
export class Peer {
  readonly times: ResponseTimes;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;
  /** Rises when it fails or is late, falls when it answers in time. */
  #misses = 0;
  #serving = 0;
  /** Until then it is not asked. */
  #restsUntil = 0;
  bytesSent = 0;
  bytesReceived = 0;
  /** Experts' sums that came of it and were used. */
  results = 0;

  /** @param width values of a token's row */
  constructor(
    readonly link: PeerLink,
    readonly width: number,
    readonly options: MeshOptions,
    readonly handler: RequestHandler | undefined,
    readonly events: PeerEvents,
  ) {
    this.times = new ResponseTimes(options.hedge);
    link.listen({ onFrame: (frame) => this.#receive(frame), onClose: (reason) => this.#end(reason) });
  }

  get name(): string {
    return this.link.peer;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** Whether it makes sense to ask it now. */
  get isReady(): boolean {
    return !this.#closed && performance.now() >= this.#restsUntil;
  }

  /**
   * Sends a request about `tokens` tokens, which its answer is about, too. Throws `RefusedError`, `LinkClosedError`, and what the link's
   * `send` throws.
   */
  ask(tokens: number, request: (id: number) => Request): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new LinkClosedError(this.name, 'it had ended before'));
      this.#pending.set(id, { tokens, sentAt: performance.now(), resolve, reject });
      this.send(request(id)).catch((error: unknown) => {
        this.#pending.delete(id);
        reject(error);
      });
    });
  }

  /** It has not done what it was asked. One that is late is not asked again before it has answered; and each has a rest. */
  rest(after: 'late' | 'failed'): void {
    this.#misses++;
    this.#restsUntil = after === 'late' ? Infinity : this.#restEnd();
  }

  /** It has done in time what it was asked. */
  recover(): void {
    if (this.#misses > 0) this.#misses--;
  }

  #restEnd(): number {
    return performance.now() + Math.min(LONGEST_REST_MS, REST_MS * 2 ** this.#misses);
  }

  forget(conversation: number): void {
    this.send({ kind: 'forget', id: conversation }).catch(() => {});
  }

  /** Tells it what it will be asked for. */
  announce(experts: readonly ExpertName[]): void {
    this.send({ kind: 'hold', experts }).catch(() => {});
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.link.close(reason);
    this.#end(reason);
  }

  /** Resolves and throws as the link's `send`. */
  async send(frame: Frame): Promise<void> {
    if (this.#closed) throw new LinkClosedError(this.name, 'it had ended before');
    const bytes = encodeFrame(frame);
    this.bytesSent += bytes.length;
    await this.link.send(bytes);
  }

  #receive(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#closed) return;
    this.bytesReceived += bytes.length;
    let frame: Frame;
    try {
      frame = decodeFrame(bytes, this.width);
    } catch (error) {
      if (!(error instanceof FrameFormatError)) throw error;
      return this.events.onFault(this, error.message);
    }
    switch (frame.kind) {
      case 'work':
        void this.#serve(frame);
        return;
      case 'layers':
        void this.#pass(frame);
        return;
      case 'where':
        this.send({ kind: 'here', id: frame.id, state: this.handler?.where(frame.id, this.name) ?? 'unknown' }).catch(() => {});
        return;
      case 'passed':
      case 'stopped':
      case 'here':
        this.#wake();
        return this.events.onPass(this, frame);
      case 'answer':
        return this.#take(frame);
      case 'refusal':
        this.#wake();
        this.#pending.get(frame.id)?.reject(new RefusedError(this.name, frame.reason));
        this.#pending.delete(frame.id);
        return;
      case 'status':
      case 'plan':
        return this.events.onNews(this, frame);
      case 'hold':
        return this.handler?.hold(frame.experts);
      case 'forget':
        this.handler?.forget(this.name, frame.id);
    }
  }

  #take({ id, tokens, rows }: Extract<Frame, { readonly kind: 'answer' }>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (!pending || pending.tokens !== tokens) return this.events.onFault(this, `answered ${tokens} tokens where ${pending?.tokens ?? 'nothing'} was asked`);
    const ms = performance.now() - pending.sentAt;
    this.times.add(tokens, ms);
    if (!this.#wake()) this.recover();
    pending.resolve({ rows, ms });
  }

  /** It has answered: where that is what its rest waited for, it ends soon. @returns whether it was */
  #wake(): boolean {
    const waited = this.#restsUntil === Infinity;
    if (waited) this.#restsUntil = this.#restEnd();
    return waited;
  }

  /** Counts among what the peer may ask at a time, until it has been sent on. */
  async #pass(request: LayersRequest): Promise<void> {
    this.#serving++;
    if (this.handler && this.#serving <= MOST_REQUESTS) await this.handler.pass(request, this.name).catch(() => {});
    // Where it came by others, its origin sees that it is late.
    else await this.send({ kind: 'stopped', id: request.id, reason: 'busy' }).catch(() => {});
    this.#serving--;
  }

  async #serve(request: Request): Promise<void> {
    const { id, format, work } = request;
    let reply: Frame;
    this.#serving++;
    try {
      if (!this.handler || this.#serving > MOST_REQUESTS) throw new RefusedError(this.name, 'busy');
      const rows = await this.handler.answer(request, this.name);
      reply = { kind: 'answer', id, format, tokens: work.tokens, rows };
    } catch (error) {
      reply = { kind: 'refusal', id, reason: error instanceof RefusedError ? error.reason : 'failed' };
    }
    // What waits for a slow link counts as well: it is memory.
    await this.send(reply).catch(() => {});
    this.#serving--;
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject } of this.#pending.values()) reject(new LinkClosedError(this.name, reason));
    this.#pending.clear();
    this.handler?.forget(this.name);
    this.events.onClose(this, reason);
  }
}

import type { ShardPeers } from '../../shards/peers.ts';
import type { Shard } from '../../shards/shard.ts';
import { inTime } from '../in-time.ts';
import type { PeerLink } from '../link.ts';
import { decodeShardFrame, encodeShardFrame, MAX_PART_BYTES, type ShardFrame } from './frames.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Parts that are asked of a peer at a time. */
const PARTS_AHEAD = 4;
/** Requests of one peer that wait here; a peer with more breaks the rules. */
const MAX_WAITING = 16;
/** A peer that has given nothing for so long is left alone for this shard. */
const PATIENCE_MS = 5000;

/** Shards from the peers of a room, and for them. */
export class ShardExchange implements ShardPeers {
  readonly #sources = new Map<string, ShardSource>();

  /**
   * @param provide bytes of a shard that lies on this device; undefined where it does not
   * @param onFalse a peer gave what is not the shard, or broke the rules
   */
  constructor(
    readonly provide: (shard: string) => Promise<Bytes | undefined>,
    readonly onFalse: (peer: string, reason: string) => void,
  ) {}

  add(link: PeerLink): void {
    this.#sources.set(link.peer, new ShardSource(link, this.provide, (reason) => this.onFalse(link.peer, reason)));
  }

  remove(peer: string): void {
    this.#sources.delete(peer);
  }

  /** Where time is short, those that owe an answer already are not asked. */
  async fetch(shard: Shard, isRight: (bytes: Bytes) => Promise<boolean>, signal: AbortSignal, mostMs?: number): Promise<Bytes | undefined> {
    // Each shard has a first choice of its own, so that all peers give some.
    const names = [...this.#sources.keys()].sort();
    const first = names.length > 0 ? [...shard.id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 0) % names.length : 0;
    const inTurn = [...names.slice(first), ...names.slice(0, first)];
    if (mostMs === undefined) return this.#ask(inTurn, shard, isRight, signal);
    const late = new AbortController();
    const ready = inTurn.filter((name) => !this.#sources.get(name)?.isSilent);
    const given = await inTime(this.#ask(ready, shard, isRight, signal, late.signal), mostMs);
    late.abort();
    signal.throwIfAborted();
    return typeof given === 'string' ? undefined : given;
  }

  /** @param late nobody waits any more */
  async #ask(names: readonly string[], shard: Shard, isRight: (bytes: Bytes) => Promise<boolean>, signal: AbortSignal, late?: AbortSignal): Promise<Bytes | undefined> {
    for (const name of names) {
      signal.throwIfAborted();
      if (late?.aborted) return undefined;
      const bytes = await this.#sources.get(name)?.fetch(shard, signal, late);
      if (!bytes) continue;
      if (await isRight(bytes)) return bytes;
      this.onFalse(name, `gave a shard ${shard.id} that is not what its SHA-256 says`);
    }
    return undefined;
  }
}

/** One peer's shards, and what it asks of ours. */
class ShardSource {
  readonly #pending = new Map<number, (bytes: Bytes | undefined) => void>();
  #next = 0;
  #waiting = 0;
  /** It was given up on, and nothing has come since. */
  isSilent = false;
  #serving: Promise<void> = Promise.resolve();
  /** What was last asked for: its parts follow each other. */
  #last: { readonly shard: string; readonly bytes: Bytes | undefined } | undefined;

  constructor(
    readonly link: PeerLink,
    readonly provide: (shard: string) => Promise<Bytes | undefined>,
    readonly onFault: (reason: string) => void,
  ) {
    link.listen({ onFrame: (frame) => this.#receive(frame), onClose: () => this.#end() });
  }

  /** Undefined where the peer does not have it, or does not give it. */
  async fetch({ id, byteLength }: Shard, signal: AbortSignal, late?: AbortSignal): Promise<Bytes | undefined> {
    const whole = new Uint8Array(byteLength);
    let next = 0;
    let isWhole = true;
    const fetchParts = async () => {
      while (isWhole && next < byteLength) {
        signal.throwIfAborted();
        const offset = next;
        const length = Math.min(MAX_PART_BYTES, byteLength - offset);
        next += length;
        const part = await this.#part(id, offset, length, late);
        if (part?.length === length) whole.set(part, offset);
        else isWhole = false;
      }
    };
    await Promise.all(Array.from({ length: PARTS_AHEAD }, fetchParts));
    return isWhole ? whole : undefined;
  }

  #part(shard: string, offset: number, length: number, late: AbortSignal | undefined): Promise<Bytes | undefined> {
    const number = this.#next++;
    return new Promise((resolve) => {
      const giveUp = () => {
        this.isSilent = true;
        answered(undefined);
      };
      const timer = setTimeout(giveUp, PATIENCE_MS);
      late?.addEventListener('abort', giveUp);
      const answered = (bytes: Bytes | undefined) => {
        clearTimeout(timer);
        late?.removeEventListener('abort', giveUp);
        this.#pending.delete(number);
        resolve(bytes);
      };
      this.#pending.set(number, answered);
      this.link.send(encodeShardFrame({ kind: 'request', number, shard, offset, length })).catch(() => answered(undefined));
    });
  }

  #receive(bytes: Bytes): void {
    this.isSilent = false;
    let frame: ShardFrame;
    try {
      frame = decodeShardFrame(bytes);
    } catch (error) {
      return this.onFault(error instanceof Error ? error.message : String(error));
    }
    if (frame.kind !== 'request') this.#pending.get(frame.number)?.(frame.kind === 'part' ? frame.bytes : undefined);
    else if (this.#waiting >= MAX_WAITING) this.onFault('asked for too many shards at once');
    else this.#serve(frame);
  }

  /** One after the other, and no faster than the peer takes them. */
  #serve({ number, shard, offset, length }: Extract<ShardFrame, { kind: 'request' }>): void {
    this.#waiting++;
    this.#serving = this.#serving.then(async () => {
      if (this.#last?.shard !== shard) this.#last = { shard, bytes: await this.provide(shard).catch(() => undefined) };
      const { bytes } = this.#last;
      const answer: ShardFrame = bytes ? { kind: 'part', number, bytes: bytes.slice(offset, offset + length) } : { kind: 'absent', number };
      await this.link.send(encodeShardFrame(answer)).catch(() => {});
      this.#waiting--;
    });
  }

  #end(): void {
    for (const answered of this.#pending.values()) answered(undefined);
  }
}

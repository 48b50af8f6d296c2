import type { MessageChannelLike } from './message-channel.ts';

/** Conditions of a link that are put on top of its own, half of the round trip on each side. */
export interface LinkConditions {
  /** Added round trip in milliseconds. */
  readonly rtt?: number;
  /** Largest deviation of one way, in milliseconds. */
  readonly jitter?: number;
  /** Share of packets that are lost, 0 to 1. A reliable channel shows a loss as a delay: until it was noticed and sent again. */
  readonly loss?: number;
}

/** A packet of a data channel carries so much. */
const PACKET_BYTES = 1150;
/** SCTP sends again after three later packets were acknowledged, a round trip later; it waits no less than this. */
const LEAST_RESEND_MS = 10;

/** Random numbers from 0 to 1. */
export type Random = () => number;

/** How long a message is on its way, beyond what the real link takes. */
export function delayOf(bytes: number, { rtt = 0, jitter = 0, loss = 0 }: LinkConditions, random: Random): number {
  let resends = 0;
  for (let packet = 0; packet * PACKET_BYTES < bytes; packet++) {
    let lost = 0;
    while (lost < 16 && random() < loss) lost++;
    resends = Math.max(resends, lost);
  }
  return Math.max(0, rtt / 2 + (2 * random() - 1) * jitter) + resends * Math.max(rtt, LEAST_RESEND_MS);
}

/** A channel whose messages leave later, as over a link of these conditions. */
export class ConditionedChannel implements MessageChannelLike {
  #isClosed = false;
  /** Those that are delayed, in the order in which they came. */
  readonly #waiting: (string | ArrayBufferView<ArrayBuffer>)[] = [];
  /** When the last message leaves: where order is kept, none overtakes it. */
  #lastAt = 0;
  /** What timers, which count whole milliseconds, have left out so far; the next message makes up for it. */
  #owedMs = 0;

  constructor(
    readonly channel: MessageChannelLike,
    readonly conditions: LinkConditions,
    readonly isOrdered: boolean,
    readonly random: Random = Math.random,
  ) {}

  get binaryType(): BinaryType {
    return this.channel.binaryType;
  }

  set binaryType(type: BinaryType) {
    this.channel.binaryType = type;
  }

  get bufferedAmountLowThreshold(): number {
    return this.channel.bufferedAmountLowThreshold;
  }

  set bufferedAmountLowThreshold(bytes: number) {
    this.channel.bufferedAmountLowThreshold = bytes;
  }

  get readyState(): RTCDataChannelState {
    return this.channel.readyState;
  }

  /** What is delayed counts as being on its way. */
  get bufferedAmount(): number {
    return this.channel.bufferedAmount;
  }

  send(data: string | ArrayBufferView<ArrayBuffer>): void {
    const bytes = typeof data === 'string' ? data.length : data.byteLength;
    const now = performance.now();
    const at = Math.max(now + delayOf(bytes, this.conditions, this.random), this.isOrdered ? this.#lastAt : 0);
    this.#lastAt = at;
    if (this.isOrdered) this.#waiting.push(data);
    const exact = at - now + this.#owedMs;
    const wait = Math.max(0, Math.round(exact));
    this.#owedMs = exact - wait;
    setTimeout(() => {
      // Two timers may go off in the wrong order.
      const next = this.isOrdered ? this.#waiting.shift() : data;
      try {
        if (!this.#isClosed && next !== undefined) this.channel.send(next);
      } catch {
        // Closed meanwhile: lost, as on any link.
      }
    }, wait);
  }

  close(): void {
    this.#isClosed = true;
    this.channel.close();
  }

  addEventListener(...args: Parameters<MessageChannelLike['addEventListener']>): void {
    this.channel.addEventListener(...args);
  }
}

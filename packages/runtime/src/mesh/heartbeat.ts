import type { ControlChannel, ControlMessage } from './transport/control-channel.ts';

const INTERVAL_MS = 1000;
/**
 * So many beats without an answer, and the peer is gone. Beats are counted instead of time: a tab in the background,
 * or a laptop that slept, sends fewer of them and must not take its own sleep for the others' silence.
 */
const MAX_UNANSWERED = 4;
/** Round trips that are remembered. */
const REMEMBERED = 32;

/** Asks a peer again and again whether it is there, and measures how long the answers take. */
export class Heartbeat {
  readonly roundTripsMs: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #sentAt = new Map<number, number>();
  #number = 0;

  /** @param onSilent the peer has not answered for long */
  constructor(
    readonly control: Pick<ControlChannel, 'send'>,
    readonly onSilent: () => void,
    readonly onRoundTrip: (ms: number) => void = () => {},
    intervalMs: number = INTERVAL_MS,
  ) {
    this.#timer = setInterval(() => this.#beat(), intervalMs);
    this.#beat();
  }

  /** @returns whether the message was one of ours */
  receive({ type, beat }: ControlMessage): boolean {
    if (typeof beat !== 'number') return false;
    if (type === 'ping') this.control.send({ type: 'pong', beat });
    else if (type === 'pong') this.#answered(beat);
    else return false;
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    if (this.#sentAt.size >= MAX_UNANSWERED) return this.onSilent();
    this.#sentAt.set(this.#number, performance.now());
    this.control.send({ type: 'ping', beat: this.#number++ });
  }

  #answered(beat: number): void {
    const sentAt = this.#sentAt.get(beat);
    if (sentAt === undefined) return;
    for (const earlier of this.#sentAt.keys()) if (earlier <= beat) this.#sentAt.delete(earlier);
    const ms = performance.now() - sentAt;
    this.roundTripsMs.push(ms);
    if (this.roundTripsMs.length > REMEMBERED) this.roundTripsMs.shift();
    this.onRoundTrip(ms);
  }
}

import type { MeshPeer, MeshRoom } from '../../packages/runtime/src/mesh/planner/room.ts';
import type { Random } from '../synth/random.ts';
import { Line, type VirtualClock } from './clock.ts';
import type { Profile } from './profiles.ts';

/** One peer's machine. */
export class Machine {
  readonly gpu = new Line();
  readonly cpu = new Line();
  readonly out = new Line();
  readonly in = new Line();

  constructor(
    readonly number: number,
    readonly peer: MeshPeer,
  ) {}
}

/** Carries frames between machines on a virtual clock: whole and in order, as links do. */
export class Network {
  readonly machines: readonly Machine[];
  readonly byName: ReadonlyMap<string, Machine>;
  messages = 0;
  bytes = 0;
  readonly #lastArrival = new Map<string, number>();

  constructor(
    readonly clock: VirtualClock,
    readonly room: MeshRoom,
    readonly profile: Profile,
    readonly random: Random,
  ) {
    this.machines = room.peers.map((peer, i) => new Machine(i, peer));
    this.byName = new Map(this.machines.map((machine) => [machine.peer.id, machine]));
  }

  /** Resolves when the other side has read the frame. */
  async send(from: Machine, to: Machine, bytes: number): Promise<void> {
    const { clock } = this;
    this.messages++;
    this.bytes += bytes;
    const written = from.cpu.take(clock.now, from.peer.frameMs);
    await clock.until(from.out.take(written, bytes / from.peer.upBytesPerMs));
    const link = `${from.number} ${to.number}`;
    const arrival = Math.max(clock.now + this.#way(from, to), this.#lastArrival.get(link) ?? 0);
    this.#lastArrival.set(link, arrival);
    await clock.until(arrival);
    const received = to.in.take(clock.now, bytes / to.peer.downBytesPerMs);
    await clock.until(to.cpu.take(received, to.peer.frameMs));
  }

  /** Milliseconds on the way: latency, jitter, and a round trip more for each time that it is lost. */
  #way(from: Machine, to: Machine): number {
    const { jitterMs, loss } = this.profile;
    const mean = this.room.latencyMs[from.number]?.[to.number] ?? 0;
    let ms = mean - jitterMs - jitterMs * Math.log(1 - this.random.uniform());
    while (this.random.uniform() < loss) ms += 2 * mean;
    return ms;
  }
}

import { answerFrameBytes, workFrameBytes } from '../../packages/runtime/src/mesh/frames.ts';
import { MESH_DEFAULTS } from '../../packages/runtime/src/mesh/mesh-options.ts';
import { HOME, type ExpertsPlan } from '../../packages/runtime/src/mesh/plan-types.ts';
import type { MeshModel } from '../../packages/runtime/src/mesh/planner/room.ts';
import { ResponseTimes } from '../../packages/runtime/src/mesh/response-times.ts';
import { splitExperts } from '../../packages/runtime/src/mesh/split.ts';
import type { Machine, Network } from './network.ts';

/** What a layer step asks of one machine. */
interface Part {
  readonly machine: Machine;
  /** Which of the tab's conversations are concerned. */
  readonly rows: ReadonlySet<number>;
  /** Experts to compute, each for one conversation. */
  readonly pairs: number;
}

/** Parts whose frames go to the same machine first. */
interface Trip {
  readonly head: Machine;
  readonly parts: readonly Part[];
}

/** One tab's layer steps: who is asked for what by the engine's own rules, and when a late answer is made up for at home. */
export class ExpertTrips {
  readonly #times = new Map<Machine, ResponseTimes>();
  hedges = 0;

  constructor(
    readonly model: MeshModel,
    readonly network: Network,
    readonly home: Machine,
    readonly plan: ExpertsPlan,
  ) {}

  /** @param layer number of the MoE layer @param chosen experts of each conversation's token */
  async step(layer: number, chosen: readonly (readonly number[])[]): Promise<void> {
    const { clock } = this.network;
    const split = splitExperts(chosen.flat(), this.plan.layers[layer]?.holders ?? [], () => true);
    const parts = [...split].map(([name, experts]): Part => {
      const machine = name === HOME ? this.home : this.network.byName.get(name);
      if (!machine) throw new Error(`there is no peer ${name}`);
      const wanted = chosen.map((of) => of.filter((expert) => experts.has(expert)).length);
      return { machine, rows: new Set(wanted.flatMap((count, row) => (count > 0 ? [row] : []))), pairs: wanted.reduce((sum, count) => sum + count, 0) };
    });
    const own = parts.find(({ machine }) => machine === this.home);
    const trips = this.#trips(parts.filter((part) => part !== own));
    await Promise.all([own && clock.until(this.home.gpu.take(clock.now, own.pairs * this.home.peer.expertMs)), ...trips.map((trip) => this.#hedged(trip, layer))]);
  }

  #trips(parts: readonly Part[]): Trip[] {
    const byHead = new Map<Machine, Part[]>();
    for (const part of parts) {
      const relay = this.plan.relays.get(part.machine.peer.id);
      const head = (relay !== undefined && this.network.byName.get(relay)) || part.machine;
      byHead.set(head, [...(byHead.get(head) ?? []), part]);
    }
    return [...byHead].map(([head, members]) => ({ head, parts: members }));
  }

  /** Waits no longer than the engine would: what is late is brought home and computed there. */
  async #hedged(trip: Trip, layer: number): Promise<void> {
    const { clock } = this.network;
    const times = this.#times.get(trip.head) ?? new ResponseTimes(MESH_DEFAULTS.hedge);
    this.#times.set(trip.head, times);
    const rows = union(trip.parts).size;
    const begun = clock.now;
    let answered = false;
    const asked = this.#go(trip).then(() => {
      times.add(rows, clock.now - begun);
      answered = true;
    });
    const instead = async () => {
      await clock.sleep(times.hedgeMs(rows));
      if (answered) return;
      this.hedges++;
      const { peer, in: line, gpu } = this.home;
      const pairs = pairsOf(trip.parts);
      const brought = line.take(clock.now, (pairs * (this.model.moeLayers[layer]?.expertBytes ?? 0)) / peer.downBytesPerMs);
      await clock.until(gpu.take(brought, pairs * peer.expertMs));
    };
    await Promise.race([asked, instead()]);
  }

  /** To the head and back, who asks the others meanwhile and adds up their answers. */
  async #go({ head, parts }: Trip): Promise<void> {
    const { network, home } = this;
    await network.send(home, head, this.#workBytes(union(parts).size, pairsOf(parts)));
    await Promise.all(
      parts.map(async ({ machine, rows, pairs }) => {
        if (machine !== head) await network.send(head, machine, this.#workBytes(rows.size, pairs));
        await network.clock.until(machine.gpu.take(network.clock.now, pairs * machine.peer.expertMs));
        if (machine !== head) await network.send(machine, head, this.#answerBytes(rows.size));
      }),
    );
    await network.send(head, home, this.#answerBytes(union(parts).size));
  }

  #workBytes(rows: number, pairs: number): number {
    return workFrameBytes('f32', rows, pairs, this.model.rowBytes / 4);
  }

  #answerBytes(rows: number): number {
    return answerFrameBytes('f32', rows, this.model.rowBytes / 4);
  }
}

function union(parts: readonly Part[]): Set<number> {
  return new Set(parts.flatMap(({ rows }) => [...rows]));
}

function pairsOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { pairs }) => sum + pairs, 0);
}

import { encodeSteps, MOST_FEW, type Step } from '@gatefold/shaders';
import type { SessionCounts } from '../counts.ts';
import type { SamplerMode } from '../forward.ts';
import type { PlanContext } from '../plan-context.ts';
import { ReadbackRing } from '../readback-ring.ts';
import { arrivalOf, RING_DEPTH, type Arrival } from '../session.ts';
import { moeLayers, type SessionBuffers } from '../session-buffers.ts';
import { BatchPlan, isBatchable, type RowSteps, type SharedSteps } from './batch-plan.ts';

/** Bytes of a session's result that the host reads: id, status, log-probability, position. */
const RESULT_BYTES = 16;

/** A token that a session wants. */
interface Wanted {
  /** Positions that it sees, itself included. */
  readonly context: number;
  readonly counts: SessionCounts;
  readonly resolve: (arrival: Arrival) => void;
  readonly reject: (error: unknown) => void;
}

/** A session that generates. */
interface Member {
  readonly session: SessionBuffers;
  readonly mode: SamplerMode;
  readonly wanted: Wanted[];
  /** Tokens that it may still ask for. */
  left: number;
}

/** A member in its row. */
interface Seat {
  readonly member: Member;
  readonly steps: RowSteps;
}

/** What passes need, made when there is somebody to share them. */
interface Open {
  readonly plan: BatchPlan;
  readonly shared: SharedSteps;
  readonly ring: ReadbackRing;
}

/** What a session that generates holds of the batch. */
export interface Membership {
  /** The next token at a context of so many positions; undefined where the session is to run it by itself. */
  next(context: number, counts: SessionCounts): Promise<Arrival> | undefined;
  /** Drops what is still wanted. Others go on without waiting. */
  leave(): void;
}

/**
 * Sessions of a model that generate at the same time share passes: one token of each, so that weights are read once for
 * all. A pass starts as soon as each of them wants a token; ids are read late, as a single session's are. Whoever joins
 * generates alone until its row's steps are made.
 */
export class DecodeBatch {
  readonly #members = new Set<Member>();
  readonly #widths: readonly number[];
  #inFlight = 0;
  #opening: Promise<Open> | undefined;
  #open: Open | undefined;
  #disposed = false;
  /** By row; empty where a member has left and none has come. */
  #seats: readonly (Seat | undefined)[] = [];
  #seating = false;

  private constructor(
    readonly context: PlanContext,
    readonly layers: Parameters<typeof BatchPlan.open>[1],
  ) {
    this.#widths = moeLayers(context.spec).map(({ ffn }) => ffn.topK);
  }

  /** Undefined where sessions of the model take turns: with recurrent or latent attention. */
  static of(context: PlanContext): DecodeBatch | undefined {
    const { spec } = context;
    return isBatchable(spec) ? new DecodeBatch(context, spec.layers) : undefined;
  }

  get ringBytes(): number {
    return this.#open?.ring.totalBytes ?? 0;
  }

  /** Undefined where experts come on demand or from peers. @param tokens that the session may ask for, at most */
  join(session: SessionBuffers, mode: SamplerMode, tokens: number): Membership | undefined {
    if (this.context.paged) return undefined;
    const member: Member = { session, mode, wanted: [], left: tokens };
    this.#members.add(member);
    void this.#seat();
    return {
      next: (context, counts) => this.#next(member, context, counts),
      leave: () => {
        this.#members.delete(member);
        const gone = new DOMException('The session has left the batch.', 'AbortError');
        for (const { reject } of member.wanted.splice(0)) reject(gone);
        this.#seats = this.#seats.map((seat) => (seat?.member === member ? undefined : seat));
        this.#run();
        void this.#seat();
      },
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#open?.ring.destroy();
  }

  #next(member: Member, context: number, counts: SessionCounts): Promise<Arrival> | undefined {
    member.left--;
    const seated = this.#seats.filter((seat) => seat !== undefined);
    const isSeated = seated.some((seat) => seat.member === member);
    // A token must not overtake those that wait.
    if (!isSeated || (seated.length === 1 && member.wanted.length === 0)) return undefined;
    counts.tokens++;
    const arriving = new Promise<Arrival>((resolve, reject) => member.wanted.push({ context, counts, resolve, reject }));
    this.#run();
    return arriving;
  }

  /** Starts passes while everybody who may still want a token wants one. */
  #run(): void {
    for (;;) {
      const seats = this.#seats.map((seat) => (seat && (seat.member.wanted.length > 0 || seat.member.left > 0) ? seat : undefined));
      const present = seats.filter((seat) => seat !== undefined);
      if (!this.#open || this.#inFlight === RING_DEPTH || present.length === 0 || present.some(({ member }) => member.wanted.length === 0)) return;
      this.#pass(this.#open, seats);
    }
  }

  #pass({ plan, shared, ring }: Open, seats: readonly (Seat | undefined)[]): void {
    const { device } = this.context.memory;
    const rows = seats.findLastIndex((seat) => seat !== undefined) + 1;
    const riders = seats.flatMap((seat, row) => {
      const wanted = seat?.member.wanted.shift();
      return seat && wanted ? [{ ...seat, wanted, row }] : [];
    });
    device.queue.writeBuffer(plan.batch, 0, Uint32Array.of(0, rows));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    const all = { tokens: rows, context: 0 };
    let dispatches = 0;
    const together = (steps: readonly Step[]) => (dispatches += encodeSteps(pass, steps, all));
    // Rows write buffers of their own for the most part: side by side they need not wait for each other.
    const each = (of: (steps: RowSteps) => readonly Step[]) => {
      const most = Math.max(...riders.map(({ steps }) => of(steps).length));
      for (let i = 0; i < most; i++) {
        for (const { steps, wanted } of riders) dispatches += encodeSteps(pass, of(steps).slice(i, i + 1), { tokens: 1, context: wanted.context });
      }
    };
    each(({ embed }) => embed);
    for (const [layer, { before, after }] of shared.layers.entries()) {
      together(before);
      each(({ attend }) => attend[layer] ?? []);
      together(after);
    }
    together(shared.logits);
    each(({ sample }) => sample);
    pass.end();
    const { buffer, stride } = plan.routes;
    const results = riders.map(({ member }) => ({ buffer: member.session.result, bytes: RESULT_BYTES }));
    const readback = ring.record(encoder, this.#widths.length > 0 ? [...results, { buffer, bytes: this.#widths.length * stride }] : results);
    device.queue.submit([encoder.finish()]);
    this.#inFlight++;
    for (const { wanted } of riders) {
      wanted.counts.dispatches += dispatches / riders.length;
      wanted.counts.submits += 1 / riders.length;
      wanted.counts.readbacks += 1 / riders.length;
    }
    const routes = riders.length * RESULT_BYTES;
    readback
      .arrive()
      .then(
        (bytes) => {
          for (const [place, { row, wanted }] of riders.entries()) {
            const experts = this.#widths.map((width, layer) => [...new Uint32Array(bytes, routes + layer * stride + row * width * 4, width)]);
            wanted.resolve(arrivalOf(new DataView(bytes, place * RESULT_BYTES), experts));
          }
        },
        (error: unknown) => {
          for (const { wanted } of riders) wanted.reject(error);
        },
      )
      .finally(() => {
        this.#inFlight--;
        this.#run();
      });
  }

  /** Gives each member a row, the first ones, where there is more than one. Passes go on in the old rows meanwhile. */
  async #seat(): Promise<void> {
    if (this.#seating) return;
    this.#seating = true;
    try {
      for (;;) {
        const wanted = this.#arrange();
        if (!wanted) return;
        this.#opening ??= this.#make();
        const open = await this.#opening;
        if (this.#disposed) return;
        const seats = await Promise.all(
          wanted.map(async (member, row): Promise<Seat> => {
            const seat = this.#seats[row];
            return seat?.member === member ? seat : { member, steps: await open.plan.row(member.session, row, member.mode) };
          }),
        );
        this.#open = open;
        this.#seats = seats.map((seat) => (this.#members.has(seat.member) ? seat : undefined));
        this.#run();
      }
    } catch {
      // A plan that can't be made, e.g. on a lost device: who wants a token learns of it in a pass of its own.
    } finally {
      this.#seating = false;
    }
  }

  async #make(): Promise<Open> {
    const made = await BatchPlan.open(this.context, this.layers);
    const routes = this.#widths.length * made.plan.routes.stride;
    return { ...made, ring: new ReadbackRing(this.context.memory.device, RING_DEPTH, MOST_FEW * RESULT_BYTES + routes) };
  }

  /** Who is to have which row; undefined where all are as they should be. */
  #arrange(): readonly Member[] | undefined {
    const members = [...this.#members].slice(0, MOST_FEW);
    if (members.length < 2) return undefined;
    // Those within the first rows stay; the others fill the gaps.
    const rows = members.map((_, row) => {
      const seat = this.#seats[row];
      return seat && members.includes(seat.member) ? seat.member : undefined;
    });
    const others = members.filter((member) => !rows.includes(member));
    const arranged = rows.flatMap((member) => member ?? others.shift() ?? []);
    const settled = this.#seats.length === arranged.length && arranged.every((member, row) => this.#seats[row]?.member === member);
    return settled ? undefined : arranged;
  }
}

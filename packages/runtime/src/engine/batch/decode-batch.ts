import { MOST_FEW, type Step } from '@gatefold/shaders';
import type { SessionCounts } from '../counts.ts';
import { encodePass } from '../encode-pass.ts';
import type { SamplerMode } from '../forward.ts';
import type { PlanContext } from '../plan-context.ts';
import { ReadbackRing } from '../readback-ring.ts';
import { arrivalOf, RING_DEPTH, type Arrival } from '../session.ts';
import { moeLayers, type SessionBuffers } from '../session-buffers.ts';
import { batchableLayers, BatchPlan, ROW_RESULT_BYTES, type AttentionLayer } from './batch-plan.ts';

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

/** What passes need, made when there is somebody to share them. */
interface Open {
  readonly plan: BatchPlan;
  readonly ring: ReadbackRing;
}

/** A pass's steps, which stay the same while its riders do. */
interface Ride {
  readonly rows: readonly (Member | undefined)[];
  readonly steps: readonly Step[];
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
  #seats: readonly (Member | undefined)[] = [];
  /** By row: whose place the plan holds, as the last pass left it. */
  #held: readonly (Member | undefined)[] = [];
  #ride: Ride = { rows: [], steps: [] };
  #seating = false;

  private constructor(
    readonly context: PlanContext,
    readonly layers: readonly AttentionLayer[],
  ) {
    this.#widths = moeLayers(context.spec).map(({ ffn }) => ffn.topK);
  }

  /** Undefined where sessions of the model take turns: with recurrent or latent attention, or caches too long to be bound whole. */
  static of(context: PlanContext): DecodeBatch | undefined {
    const layers = batchableLayers(context);
    return layers && new DecodeBatch(context, layers);
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
        this.#seats = this.#seats.map((seat) => (seat === member ? undefined : seat));
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
    // A token must not overtake those that wait.
    if (!seated.includes(member) || (seated.length === 1 && member.wanted.length === 0)) {
      this.#release(member);
      return undefined;
    }
    counts.tokens++;
    const arriving = new Promise<Arrival>((resolve, reject) => member.wanted.push({ context, counts, resolve, reject }));
    this.#run();
    return arriving;
  }

  /** Starts passes while everybody who may still want a token wants one. */
  #run(): void {
    for (;;) {
      const seats = this.#seats.map((seat) => (seat && (seat.wanted.length > 0 || seat.left > 0) ? seat : undefined));
      const present = seats.filter((seat) => seat !== undefined);
      if (!this.#open || this.#inFlight === RING_DEPTH || present.length === 0 || present.some(({ wanted }) => wanted.length === 0)) return;
      this.#pass(this.#open, seats);
    }
  }

  #pass({ plan, ring }: Open, seats: readonly (Member | undefined)[]): void {
    const { device } = this.context.memory;
    const rows = seats.slice(0, seats.findLastIndex((seat) => seat !== undefined) + 1);
    const riders = rows.flatMap((member, row) => {
      const wanted = member?.wanted.shift();
      return wanted ? [{ wanted, row }] : [];
    });
    const encoder = device.createCommandEncoder();
    this.#take(plan, encoder, rows);
    device.queue.writeBuffer(plan.batch, 0, Uint32Array.of(0, rows.length));
    const context = Math.max(...riders.map(({ wanted }) => wanted.context));
    const dispatches = encodePass(encoder, this.#ride.steps, { tokens: rows.length, context });
    const { buffer, stride } = plan.routes;
    const routes = rows.length * ROW_RESULT_BYTES;
    const results = [{ buffer: plan.results, bytes: routes }];
    const readback = ring.record(encoder, this.#widths.length > 0 ? [...results, { buffer, bytes: this.#widths.length * stride }] : results);
    device.queue.submit([encoder.finish()]);
    this.#inFlight++;
    for (const { wanted } of riders) {
      wanted.counts.dispatches += dispatches / riders.length;
      wanted.counts.submits += 1 / riders.length;
      wanted.counts.readbacks += 1 / riders.length;
    }
    readback
      .arrive()
      .then(
        (bytes) => {
          for (const { row, wanted } of riders) {
            const experts = this.#widths.map((width, layer) => [...new Uint32Array(bytes, routes + layer * stride + row * width * 4, width)]);
            wanted.resolve(arrivalOf(new DataView(bytes, row * ROW_RESULT_BYTES), experts));
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

  /** Puts those who ride into their rows. A row's place is its session's own where it is new; where it goes on in another, the session gets it back first. */
  #take(plan: BatchPlan, encoder: GPUCommandEncoder, rows: readonly (Member | undefined)[]): void {
    const held = this.#held;
    for (const [row, member] of held.entries()) {
      if (member && member !== rows[row]) plan.leave(encoder, row, rows.includes(member) ? member.session : undefined);
    }
    for (const [row, member] of rows.entries()) {
      if (member && member !== held[row]) plan.enter(encoder, member.session, row);
    }
    this.#held = rows;
    if (rows.length === this.#ride.rows.length && rows.every((member, row) => member === this.#ride.rows[row])) return;
    const mode = rows.some((member) => member?.mode === 'sample') ? 'sample' : 'greedy';
    this.#ride = { rows, steps: plan.steps(rows.map((member) => member?.session), mode) };
  }

  /** A member runs a token by itself: its place goes back to it. */
  #release(member: Member): void {
    const row = this.#held.indexOf(member);
    if (!this.#open || row < 0) return;
    const { device } = this.context.memory;
    const encoder = device.createCommandEncoder();
    this.#open.plan.leave(encoder, row, member.session);
    device.queue.submit([encoder.finish()]);
    this.#held = this.#held.map((held) => (held === member ? undefined : held));
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
        for (const { mode } of wanted) await open.plan.prepare(mode);
        this.#open = open;
        this.#seats = wanted.map((member) => (this.#members.has(member) ? member : undefined));
        this.#run();
      }
    } catch {
      // A plan that can't be made, e.g. on a lost device: who wants a token learns of it in a pass of its own.
    } finally {
      this.#seating = false;
    }
  }

  async #make(): Promise<Open> {
    const plan = await BatchPlan.open(this.context, this.layers);
    const routes = this.#widths.length * plan.routes.stride;
    return { plan, ring: new ReadbackRing(this.context.memory.device, RING_DEPTH, MOST_FEW * ROW_RESULT_BYTES + routes) };
  }

  /** Who is to have which row; undefined where all are as they should be. */
  #arrange(): readonly Member[] | undefined {
    const members = [...this.#members].slice(0, MOST_FEW);
    if (members.length < 2) return undefined;
    // Those within the first rows stay; the others fill the gaps.
    const rows = members.map((_, row) => {
      const seat = this.#seats[row];
      return seat && members.includes(seat) ? seat : undefined;
    });
    const others = members.filter((member) => !rows.includes(member));
    const arranged = rows.flatMap((member) => member ?? others.shift() ?? []);
    const settled = this.#seats.length === arranged.length && arranged.every((member, row) => this.#seats[row] === member);
    return settled ? undefined : arranged;
  }
}

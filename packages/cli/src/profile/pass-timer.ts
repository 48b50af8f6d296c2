import { encodeSteps, type BatchSize, type Step } from '@gatefold/shaders';
import { median } from '../numbers.ts';

/** A timed pass lasts at least this long: browsers round timestamps to 0.1 ms, and clocks of the host see the wait too. */
const PASS_MS = 25;
const PASSES = 5;
/** No more passes once they took this long together: a CPU adapter's stages take a second each. */
const ENOUGH_MS = 300;
/** Bounds the command buffer. */
const MOST_DISPATCHES = 40_000;

export interface TimingOptions {
  /** Run before each timed pass, e.g. to put state back that the steps change; its time does not count. */
  readonly prepare?: () => void;
  /** Most rounds of the steps in a pass. */
  readonly maxRounds?: number;
}

/**
 * Times steps on the GPU: rounds of them, one after the other in one compute pass, so that each waits for the one
 * before as it does in a forward pass. By GPU timestamps where the device has them, else by the host's clock.
 */
export class PassTimer {
  readonly clock: 'gpu timestamps' | 'host clock';
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer;
  readonly #readable: GPUBuffer;

  constructor(device: GPUDevice) {
    this.#device = device;
    const hasTimestamps = device.features.has('timestamp-query');
    this.clock = hasTimestamps ? 'gpu timestamps' : 'host clock';
    this.#queries = hasTimestamps ? device.createQuerySet({ type: 'timestamp', count: 2 }) : undefined;
    this.#resolved = device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    this.#readable = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  /** Median microseconds of one round of the steps. */
  async time(steps: readonly Step[], size: BatchSize, { prepare, maxRounds = Infinity }: TimingOptions = {}): Promise<number> {
    const run = (rounds: number) => {
      prepare?.();
      return this.#pass(steps, size, rounds);
    };
    let rounds = 1;
    const most = Math.max(1, Math.min(maxRounds, Math.floor(MOST_DISPATCHES / steps.length)));
    let ms = await run(rounds);
    // The first run of all may compile.
    if (ms < ENOUGH_MS) ms = await run(rounds);
    while (ms < PASS_MS && rounds < most) {
      rounds = Math.min(most, Math.max(rounds * 2, Math.ceil((rounds * PASS_MS * 1.2) / Math.max(ms, 0.05))), rounds * 32);
      ms = await run(rounds);
    }
    const times = [ms];
    while (times.length < PASSES && times.length * ms < ENOUGH_MS) times.push(await run(rounds));
    return (median(times) * 1000) / rounds;
  }

  destroy(): void {
    this.#queries?.destroy();
    this.#resolved.destroy();
    this.#readable.destroy();
  }

  /** Milliseconds of a pass of its own submit. */
  async #pass(steps: readonly Step[], size: BatchSize, rounds: number): Promise<number> {
    const { queue } = this.#device;
    await queue.onSubmittedWorkDone();
    const encoder = this.#device.createCommandEncoder();
    const querySet = this.#queries;
    const pass = encoder.beginComputePass(querySet ? { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } } : {});
    for (let round = 0; round < rounds; round++) encodeSteps(pass, steps, size);
    pass.end();
    if (querySet) {
      encoder.resolveQuerySet(querySet, 0, 2, this.#resolved, 0);
      encoder.copyBufferToBuffer(this.#resolved, 0, this.#readable, 0, 16);
    }
    const commands = encoder.finish();
    const started = performance.now();
    queue.submit([commands]);
    if (!querySet) {
      await queue.onSubmittedWorkDone();
      return performance.now() - started;
    }
    await this.#readable.mapAsync(GPUMapMode.READ);
    const [begin = 0n, end = 0n] = new BigUint64Array(this.#readable.getMappedRange());
    this.#readable.unmap();
    return Number(end - begin) / 1e6;
  }
}

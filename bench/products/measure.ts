import { ShaderContext, encodeSteps, expertDown, expertGateUp, gemv, planarLayout, type PlanarMatrix, type Step } from '@gatefold/shaders';
import { PassTimer } from '../../packages/cli/src/profile/pass-timer.ts';
import { requestGpu } from '../../packages/runtime/src/engine/device.ts';
import { gemvTile, type GemvTile } from '../../packages/shaders/src/gemv-tile.ts';
import { readBack } from '../gpu/read-back.ts';
import type { Emit, Environment } from '../src/job.ts';
import { int8Down, int8GateUp, int8Gemv } from './int8.ts';
import type { ProductRow, ProductsJob, ProductsReport } from './types.ts';
import { RandomWeights, type TypeName } from './weights.ts';

/** OLMoE-1B-7B, with fewer experts: as many as keep two tokens' choices apart. */
const HIDDEN = 2048;
const WIDTH = 1024;
const EXPERTS = 16;
const TOP_K = 8;
const VOCABULARY = 50_304;
const SIZE = { tokens: 1, context: 1 };
/** The token is one, so what rounds inputs to bytes may differ by as much. */
const MOST_DIFFERENCE = 0.03;

/** A product of one layer's weights, each variant writing its own buffer. */
interface Layer {
  readonly shipped: Step;
  int8(tile: GemvTile): Promise<Step>;
}

interface Product {
  readonly product: string;
  readonly weights: TypeName;
  readonly bytes: number;
  readonly tile: GemvTile;
  /** Outputs in a workgroup of int8 must be a multiple of so many. */
  readonly outputs: number;
  readonly layers: readonly Layer[];
  readonly results: Results;
}

interface Results {
  /** Cleared before they are compared. */
  readonly buffers: readonly GPUBuffer[];
  shipped(): Promise<Float32Array>;
  int8(): Promise<Float32Array>;
}

/** Times each product over all layers in turn. Throws where int8 is further from what is shipped than rounding explains. */
export async function measureProducts({ layers }: ProductsJob, environment: Environment, emit: Emit): Promise<ProductsReport> {
  const { device, adapterInfo, summary } = await requestGpu(environment.gpu);
  const context = new ShaderContext(device);
  if (!context.features['SUBGROUPS']) throw new Error('int8 products need subgroups');
  const timer = new PassTimer(device);
  const rows: ProductRow[] = [];
  const bench = new Bench(device, context, layers);
  for (const make of bench.products()) {
    const { product, weights, bytes, tile, outputs, layers: all, results } = await make();
    const row = async (variant: ProductRow['variant'], of: GemvTile, steps: readonly Step[], difference: number) => {
      const us = (await timer.time(steps, SIZE)) / steps.length;
      rows.push({ product, weights, variant, threads: of.threads, rowsAThread: of.rowsAThread, us, bytes, difference });
      emit(`${product} ${weights} ${variant} ${of.threads} × ${of.rowsAThread}: ${us.toFixed(1)} µs`);
    };
    await row('f32, as shipped', tile, all.map(({ shipped }) => shipped), 0);
    for (const candidate of tiles(tile, outputs)) {
      const steps = await Promise.all(all.map(({ int8 }) => int8(candidate)));
      const difference = await bench.compare(all[0]?.shipped, steps[0], results);
      if (!(difference < MOST_DIFFERENCE)) throw new Error(`${product} ${weights}: int8 differs by ${difference} of the result`);
      await row('int8', candidate, steps, difference);
    }
    bench.free();
  }
  timer.destroy();
  device.destroy();
  return { adapter: { ...summary, architecture: adapterInfo.architecture }, clock: timer.clock, rows };
}

function tiles({ lanes, threads }: GemvTile, outputs: number): GemvTile[] {
  const sizes = [...new Set([threads, 128, 256])];
  return sizes
    .flatMap((of) => [1, 2, 4].map((rowsAThread) => ({ threads: of, lanes, rowsAThread })))
    .filter((tile) => ((tile.threads / tile.lanes) * tile.rowsAThread) % outputs === 0 && (tile.threads / tile.lanes) * tile.rowsAThread <= 128);
}

class Bench {
  readonly #buffers: GPUBuffer[] = [];
  #weights: RandomWeights;

  constructor(
    readonly device: GPUDevice,
    readonly context: ShaderContext,
    readonly layers: number,
  ) {
    this.#weights = new RandomWeights(device);
  }

  products(): (() => Promise<Product>)[] {
    return (['Q4_0', 'Q4_K'] as const)
      .flatMap((type) => [
        () => this.#gemv('Q, K, V', type, [HIDDEN, HIDDEN, HIDDEN], true),
        () => this.#gemv('attention out', type, [HIDDEN], false),
        () => this.#gateUp(type),
        () => this.#down(type),
      ])
      .concat([() => this.#down('Q6_K'), () => this.#gemv('logits', 'Q6_K', [VOCABULARY], true)]);
  }

  free(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
    this.#weights.destroy();
    this.#weights = new RandomWeights(this.device);
  }

  /** ‖int8 - shipped‖ / ‖shipped‖, each run once from a cleared result. */
  async compare(shipped: Step | undefined, int8: Step | undefined, results: Results): Promise<number> {
    if (!shipped || !int8) return NaN;
    this.#run([shipped, int8], results.buffers);
    const [expected, found] = [await results.shipped(), await results.int8()];
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    return norm(found.map((value, i) => value - (expected[i] ?? 0))) / norm(expected);
  }

  async #gemv(product: string, type: TypeName, rows: readonly number[], normed: boolean): Promise<Product> {
    const { context } = this;
    const total = rows.reduce((sum, of) => sum + of, 0);
    const x = { buffer: this.#random(HIDDEN) };
    const norm = normed ? { weight: { buffer: this.#random(HIDDEN) }, eps: 1e-5 } : undefined;
    const [out, int8Out] = [this.#buffer(total * 4), this.#buffer(total * 4)];
    // Of the vocabulary two are more than caches hold.
    const all = await this.#each(total > 4 * HIDDEN ? 2 : this.layers, async () => {
      const weights = this.#weights.stacked(type, HIDDEN, rows);
      return {
        matrices: weights.matrices,
        shipped: await gemv(context, { label: product, x, weights, out: { buffer: out }, residual: !normed, ...(norm ? { norm } : {}) }),
        int8: (tile: GemvTile) => int8Gemv(context, { weights, x, out: { buffer: int8Out }, norm, residual: !normed }, tile),
      };
    });
    return { product, weights: type, bytes: bytesOf(all[0]?.matrices ?? []), tile: gemvTile(context, total, HIDDEN / 32), outputs: 1, layers: all, results: this.#results(out, int8Out) };
  }

  async #gateUp(type: TypeName): Promise<Product> {
    const { context } = this;
    const { ids, slots } = this.#choice();
    const x = { buffer: this.#random(HIDDEN) };
    const { hidden, packed } = this.#hidden();
    const shape = { rows: WIDTH, cols: HIDDEN };
    const all = await this.#each(this.layers, async () => {
      const pool = this.#weights.pool(type, [shape, shape], EXPERTS);
      return {
        matrices: pool.matrices,
        shipped: await expertGateUp(context, { label: 'gate_up', x, ids, slots, pool, topK: TOP_K, hidden: { buffer: hidden }, activation: 'swiglu' }),
        int8: (tile: GemvTile) => int8GateUp(context, { x, ids, slots, pool, topK: TOP_K, hidden: packed }, tile),
      };
    });
    const tile = gemvTile(context, WIDTH * TOP_K, HIDDEN / 32);
    const results: Results = { buffers: [hidden, packed.bytes.buffer, packed.scales.buffer], shipped: () => this.#floats(hidden), int8: () => this.#unpacked(packed) };
    return { product: 'experts, gate and up', weights: type, bytes: bytesOf(all[0]?.matrices ?? []) * TOP_K, tile, outputs: 16, layers: all, results };
  }

  async #down(type: TypeName): Promise<Product> {
    const { context } = this;
    const { ids, slots } = this.#choice();
    const weights = { buffer: this.#random(TOP_K) };
    const x = { buffer: this.#random(HIDDEN) };
    const { hidden, packed } = this.#hidden();
    // Both hidden rows come of the same experts.
    const shape = { rows: WIDTH, cols: HIDDEN };
    const before = this.#weights.pool('Q4_0', [shape, shape], EXPERTS);
    const first = gemvTile(context, WIDTH * TOP_K, HIDDEN / 32);
    this.#run([
      await expertGateUp(context, { label: 'gate_up', x, ids, slots, pool: before, topK: TOP_K, hidden: { buffer: hidden }, activation: 'swiglu' }),
      await int8GateUp(context, { x, ids, slots, pool: before, topK: TOP_K, hidden: packed }, { ...first, threads: first.lanes * 16, rowsAThread: 1 }),
    ]);
    const [out, int8Out] = [this.#buffer(HIDDEN * 4), this.#buffer(HIDDEN * 4)];
    const all = await this.#each(this.layers, async () => {
      const pool = this.#weights.pool(type, [{ rows: HIDDEN, cols: WIDTH }], EXPERTS);
      return {
        matrices: pool.matrices,
        shipped: await expertDown(context, { label: 'down', hidden: { buffer: hidden }, ids, weights, slots, pool, out: { buffer: out }, topK: TOP_K }),
        int8: (tile: GemvTile) => int8Down(context, { ids, slots, pool, topK: TOP_K, hidden: packed, weights, out: { buffer: int8Out } }, tile),
      };
    });
    const tile = gemvTile(context, HIDDEN * TOP_K, WIDTH / 32);
    return { product: 'experts, down', weights: type, bytes: bytesOf(all[0]?.matrices ?? []) * TOP_K, tile, outputs: 1, layers: all, results: this.#results(out, int8Out) };
  }

  #results(shipped: GPUBuffer, int8: GPUBuffer): Results {
    return { buffers: [shipped, int8], shipped: () => this.#floats(shipped), int8: () => this.#floats(int8) };
  }

  async #floats(buffer: GPUBuffer): Promise<Float32Array> {
    return new Float32Array(await readBack(this.device, { buffer, size: buffer.size }));
  }

  /** In the order of what is shipped: vector v of each group of 32 beside that of the next group. */
  async #unpacked({ bytes, scales }: { readonly bytes: { readonly buffer: GPUBuffer }; readonly scales: { readonly buffer: GPUBuffer } }): Promise<Float32Array> {
    const values = new Int8Array(await readBack(this.device, { buffer: bytes.buffer, size: bytes.buffer.size }));
    const factors = await this.#floats(scales.buffer);
    const groups = WIDTH / 32;
    return Float32Array.from({ length: TOP_K * WIDTH }, (_, i) => {
      const vector = Math.floor(i / 4 / groups);
      const half = (Math.floor(vector / 4) * groups) + (Math.floor(i / 4) % groups);
      return (values[half * 16 + (vector % 4) * 4 + (i % 4)] ?? 0) * (factors[half * 2] ?? 0);
    });
  }

  #choice(): { readonly ids: GPUBufferBinding; readonly slots: GPUBufferBinding } {
    const ids = Uint32Array.from({ length: TOP_K }, (_, i) => (i * 5 + 3) % EXPERTS);
    return { ids: { buffer: this.#filled(ids) }, slots: { buffer: this.#filled(Uint32Array.from({ length: EXPERTS }, (_, i) => i)) } };
  }

  #hidden() {
    const halves = (TOP_K * WIDTH) / 16;
    return { hidden: this.#buffer(TOP_K * WIDTH * 4), packed: { bytes: { buffer: this.#buffer(halves * 16) }, scales: { buffer: this.#buffer(halves * 8) } } };
  }

  #each<T>(count: number, make: () => Promise<T>): Promise<T[]> {
    return Promise.all(Array.from({ length: count }, make));
  }

  #run(steps: readonly Step[], cleared: readonly GPUBuffer[] = []): void {
    const encoder = this.device.createCommandEncoder();
    for (const buffer of cleared) encoder.clearBuffer(buffer);
    const pass = encoder.beginComputePass();
    encodeSteps(pass, steps, SIZE);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  #random(elements: number): GPUBuffer {
    return this.#filled(Float32Array.from({ length: elements }, () => Math.random() * 2 - 1));
  }

  #filled(data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#buffer(data.byteLength);
    this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  #buffer(bytes: number): GPUBuffer {
    const buffer = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
    this.#buffers.push(buffer);
    return buffer;
  }
}

function bytesOf(matrices: readonly PlanarMatrix[]): number {
  return matrices.reduce((sum, { type, rows, cols }) => sum + planarLayout(type, rows * cols).words * 4, 0);
}

import { encodeSteps, type BatchSize, type Step } from '@gatefold/shaders';
import type { Session } from '../../packages/runtime/src/engine/session.ts';
import { benchPrompt } from '../../packages/cli/src/job/prompt.ts';
import { PassTimer } from '../../packages/cli/src/profile/pass-timer.ts';
import { readBack } from '../gpu/read-back.ts';
import { wgslStep } from '../../packages/cli/src/profile/wgsl-step.ts';
import type { Emit, Environment } from '../src/job.ts';
import { baselineBlock, type Baseline } from './baseline.ts';
import { moeBlocks, type Block } from './blocks.ts';
import type { MoeBlockJob, MoeBlockMode, MoeBlockReport } from './types.ts';
import copyCode from './wgsl/copy.wgsl?raw';

/** Both schemes compute the same, up to rounding; f16 variants round most. */
const MOST_DIFFERENCE = 0.02;

/**
 * Times the MoE block of every layer of the model, ours against the baseline, on activations of a real pass. Several
 * layers, so that weights come from memory and not from a cache.
 */
export async function measureMoeBlock({ tokens, bareKernels, precision }: MoeBlockJob, environment: Environment, emit: Emit): Promise<MoeBlockReport> {
  const service = await environment.open({ store: 'none', contextLength: tokens + 8, prefillChunk: tokens, ...(bareKernels === undefined ? {} : { bareKernels }), ...(precision === undefined ? {} : { precision }) });
  try {
    const session = await service.model.createSession();
    const timer = new PassTimer(service.model.memory.device);
    const modes: MoeBlockMode[] = [];
    for (const mode of ['decode', 'prefill'] as const) {
      emit(`MoE block: ${mode}`);
      modes.push(await measureMode(session, timer, mode, mode === 'decode' ? 1 : tokens));
    }
    timer.destroy();
    const { spec } = service.model;
    const moe = spec.layers.map(({ ffn }) => ffn).find((ffn) => ffn.kind === 'moe');
    if (!moe) throw new Error('the model has no MoE layer');
    const shape = { hidden: spec.hiddenSize, width: moe.width, experts: moe.experts, topK: moe.topK };
    return { adapter: service.modelInfo.adapter, clock: timer.clock, layers: spec.layers.length, shape, modes };
  } finally {
    await service.dispose();
  }
}

async function measureMode(session: Session, timer: PassTimer, mode: 'decode' | 'prefill', tokens: number): Promise<MoeBlockMode> {
  const { context } = session;
  const { device } = context.shaders;
  const size: BatchSize = { tokens, context: tokens };
  const buffers: GPUBuffer[] = [];
  const create = (bytes: number) => {
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const buffer = device.createBuffer({ size: Math.ceil(bytes / 16) * 16, usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST });
    buffers.push(buffer);
    return buffer;
  };
  try {
    // A real pass leaves the residual stream that all blocks then start from.
    session.startBatch(0, benchPrompt(1, tokens, context.spec.vocabSize));
    run(device, session.plan[mode].flatMap(({ steps }) => steps), size);
    const bytes = tokens * context.spec.hiddenSize * 4;
    const before = create(bytes);
    copy(device, context.scratch.x, before, bytes);
    const restore = await wgslStep(device, {
      label: 'restore',
      code: copyCode,
      constants: { VECTORS: bytes / 16 },
      bindings: [{ buffer: before }, { buffer: context.scratch.x, size: bytes }],
      workgroups: [Math.ceil(bytes / 16 / 64), 1, 1],
    });

    const blocks = moeBlocks(context, session, mode);
    const pairs: { block: Block; baseline: Baseline; capacity: number; difference: number }[] = [];
    for (const block of blocks) {
      run(device, [restore, ...block.router, ...block.experts], size);
      const ours = difference(await floats(device, context.scratch.x, bytes), await floats(device, before, bytes));
      const capacity = await mostTokensOfAnExpert(device, block, tokens);
      const baseline = await baselineBlock(context, block, tokens, capacity, create);
      run(device, [restore, ...block.router, ...baseline.steps], size);
      pairs.push({ block, baseline, capacity, difference: relative(ours, await floats(device, baseline.out, bytes)) });
    }
    const worst = Math.max(...pairs.map((pair) => pair.difference));
    if (!(worst < MOST_DIFFERENCE)) throw new Error(`${mode}: ours and the baseline differ by ${worst} of what the block adds`);

    const restoreUs = await timer.time([restore], size);
    const perLayer = async (steps: (pair: { block: Block; baseline: Baseline }) => readonly Step[]) => {
      const all = pairs.flatMap((pair) => [restore, ...pair.block.router, ...steps(pair)]);
      return { us: (await timer.time(all, size)) / pairs.length - restoreUs, dispatches: all.length / pairs.length - 1 };
    };
    const ours = await perLayer(({ block }) => block.experts);
    const baseline = await perLayer((pair) => pair.baseline.steps);
    return {
      mode,
      tokens,
      oursUs: ours.us,
      baselineUs: baseline.us,
      oursDispatches: ours.dispatches,
      baselineDispatches: baseline.dispatches,
      capacity: Math.max(...pairs.map(({ capacity }) => capacity)),
      difference: worst,
    };
  } finally {
    await device.queue.onSubmittedWorkDone();
    for (const buffer of buffers) buffer.destroy();
  }
}

function run(device: GPUDevice, steps: readonly Step[], size: BatchSize): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  encodeSteps(pass, steps, size);
  pass.end();
  device.queue.submit([encoder.finish()]);
}

function copy(device: GPUDevice, from: GPUBuffer, to: GPUBuffer, bytes: number): void {
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
  device.queue.submit([encoder.finish()]);
}

async function floats(device: GPUDevice, buffer: GPUBuffer, bytes: number): Promise<Float32Array> {
  return new Float32Array(await readBack(device, { buffer, size: bytes }));
}

async function mostTokensOfAnExpert(device: GPUDevice, { ids }: Block, tokens: number): Promise<number> {
  const chosen = new Uint32Array(await readBack(device, { buffer: ids.buffer, offset: ids.offset, size: tokens * ids.width * 4 }));
  const counts = new Map<number, number>();
  for (const expert of chosen) counts.set(expert, (counts.get(expert) ?? 0) + 1);
  return Math.max(...counts.values());
}

function difference(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value - (b[i] ?? 0));
}

/** ‖a − b‖ / ‖b‖ */
function relative(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(difference(a, b)) / norm(b);
}

import { gemm, gemv, type ExpertPool, type StackedWeights, type Step } from '@gatefold/shaders';
import type { PlanContext } from '../../packages/runtime/src/engine/plan-context.ts';
import { wgslStep } from '../../packages/cli/src/profile/wgsl-step.ts';
import type { Block } from './blocks.ts';
import combineWeightsCode from './wgsl/combine_weights.wgsl?raw';
import locationsCode from './wgsl/locations.wgsl?raw';
import oneHotCode from './wgsl/one_hot.wgsl?raw';
import swigluCode from './wgsl/swiglu.wgsl?raw';
import transposeCode from './wgsl/transpose.wgsl?raw';

/** The engine's GEMM reads inputs 32 at a time. */
const GROUP = 32;
/** ggml's number for F32. */
const F32 = 0;

export interface Baseline {
  /** All dispatches after the router's, in order. */
  readonly steps: readonly Step[];
  /** [tokens, d] f32: what the block adds to the residual stream. */
  readonly out: GPUBuffer;
}

/**
 * A MoE block as frameworks wrote it before table-based gating, and as DeepSpeed-MoE (arXiv 2201.05596, §5.4) compares
 * itself with: one-hot masks, places in the queues by a running sum, dense [tokens, experts, capacity] tensors, an
 * einsum that brings tokens to experts, a loop over the experts on the host, an einsum that brings them back.
 *
 * It gets every advantage that leaves the scheme as it is: the engine's own GEMM and GEMV kernels (decoding of weights
 * included) for experts and einsums; one pair of masks for all k choices; the least capacity that drops no token, known
 * beforehand; GEMVs where the capacity is one; all dispatches in one pass; no read-back.
 *
 * @param capacity most tokens that an expert has @param create makes a zeroed storage buffer that the caller frees
 */
export async function baselineBlock(context: PlanContext, block: Block, tokens: number, capacity: number, create: (bytes: number) => GPUBuffer): Promise<Baseline> {
  const { shaders, spec, scratch, weights: modelWeights } = context;
  const { device } = shaders;
  const ffn = spec.layers[block.layer]?.ffn;
  if (ffn?.kind !== 'moe' || ffn.activation !== 'swiglu') throw new Error(`layer ${block.layer}: the baseline knows SwiGLU experts only`);
  const { experts, topK, width } = ffn;
  const hidden = spec.hiddenSize;
  const pools = modelWeights.experts(block.layer);
  const paddedTokens = roundUp(tokens, GROUP);
  const slots = roundUp(experts * capacity, GROUP);
  const floats = (...sizes: readonly number[]) => create(sizes.reduce((product, size) => product * size, 4));

  const mask = floats(tokens, experts);
  const gates = floats(tokens, experts);
  const locations = floats(tokens, experts);
  const combine = floats(tokens, slots);
  const dispatch = floats(slots, paddedTokens);
  const transposedX = floats(hidden, paddedTokens);
  const expertIn = floats(slots, hidden);
  const gateUp = floats(capacity, 2 * width);
  const activated = floats(capacity, width);
  const expertOut = floats(slots, hidden);
  const transposedOut = floats(hidden, slots);
  const out = floats(tokens, hidden);

  const { ids, weights } = block;
  const choice = (tap: typeof ids) => ({ buffer: tap.buffer, offset: tap.offset, size: tokens * topK * 4 });
  const element = (count: number) => [Math.ceil(count / 64), 1, 1] as const;
  const oneHot = wgslStep(device, {
    label: 'one_hot',
    code: oneHotCode,
    constants: { TOKENS: tokens, EXPERTS: experts, TOP_K: topK },
    bindings: [choice(ids), choice(weights), { buffer: mask }, { buffer: gates }],
    workgroups: element(tokens * experts),
  });
  const locate = wgslStep(device, {
    label: 'locations',
    code: locationsCode,
    constants: { TOKENS: tokens, EXPERTS: experts },
    bindings: [{ buffer: mask }, { buffer: locations }],
    workgroups: [experts, 1, 1],
  });
  const combineWeights = wgslStep(device, {
    label: 'combine_weights',
    code: combineWeightsCode,
    constants: { TOKENS: tokens, TOKENS_PADDED: paddedTokens, EXPERTS: experts, CAPACITY: capacity, SLOTS: slots },
    bindings: [{ buffer: mask }, { buffer: gates }, { buffer: locations }, { buffer: combine }, { buffer: dispatch }],
    workgroups: [Math.ceil(paddedTokens / 64), slots, 1],
  });
  const transpose = (label: string, x: GPUBuffer, rows: number, rowsPadded: number, to: GPUBuffer) =>
    wgslStep(device, {
      label,
      code: transposeCode,
      constants: { ROWS: rows, ROWS_PADDED: rowsPadded, COLUMNS: hidden },
      bindings: [{ buffer: x }, { buffer: to }],
      workgroups: [Math.ceil(hidden / 16), Math.ceil(rowsPadded / 16), 1],
    });
  /** out[rows of x] = w x, by the engine's GEMM, or its GEMV for a single row. */
  const product = async (label: string, x: GPUBufferBinding, rows: number, w: StackedWeights, to: GPUBufferBinding): Promise<Step> => {
    if (rows === 1) return gemv(shaders, { label, x, weights: w, out: to });
    const batch = create(16);
    device.queue.writeBuffer(batch, 0, Uint32Array.of(0, rows));
    const step = await gemm(shaders, { label, x, weights: w, out: to, batch: { buffer: batch }, maxTokens: rows });
    const { workgroups } = step;
    return typeof workgroups === 'function' ? { ...step, workgroups: workgroups({ tokens: rows, context: rows }) } : step;
  };
  const dense = (buffer: GPUBuffer, cols: number): StackedWeights => ({ binding: { buffer }, matrices: [{ type: F32, rows: hidden, cols, baseWord: 0 }] });
  const queue = (buffer: GPUBuffer, expert: number): GPUBufferBinding => ({ buffer, offset: expert * capacity * hidden * 4, size: capacity * hidden * 4 });
  const expert = async (index: number): Promise<readonly Step[]> =>
    Promise.all([
      product('expert_gate_up', queue(expertIn, index), capacity, slotWeights(pools.gateUp, index), { buffer: gateUp }),
      wgslStep(device, {
        label: 'expert_activation',
        code: swigluCode,
        constants: { WIDTH: width },
        bindings: [{ buffer: gateUp }, { buffer: activated }],
        workgroups: [Math.ceil(width / 64), capacity, 1],
      }),
      product('expert_down', { buffer: activated }, capacity, slotWeights(pools.down, index), queue(expertOut, index)),
    ]);

  const steps = await Promise.all([
    oneHot,
    locate,
    combineWeights,
    transpose('transpose_in', scratch.normed, tokens, paddedTokens, transposedX),
    product('einsum_dispatch', { buffer: dispatch }, slots, dense(transposedX, paddedTokens), { buffer: expertIn }),
    ...Array.from({ length: experts }, (_, index) => expert(index)),
    transpose('transpose_out', expertOut, experts * capacity, slots, transposedOut),
    product('einsum_combine', { buffer: combine }, tokens, dense(transposedOut, slots), { buffer: out }),
  ]);
  return { steps: steps.flat(), out };
}

/** One expert's matrices, bound at its slot. */
function slotWeights({ pages, slotsPerPage, slotWords, matrices }: ExpertPool, slot: number): StackedWeights {
  const page = pages[Math.floor(slot / slotsPerPage)];
  const offset = (page?.offset ?? 0) + (slot % slotsPerPage) * slotWords * 4;
  if (!page || offset % 256 !== 0) throw new Error(`slot ${slot} starts at byte ${offset}, where no binding can start (multiples of 256): use a model with wider experts`);
  return { binding: { buffer: page.buffer, offset, size: slotWords * 4 }, matrices };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

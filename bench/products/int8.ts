import type { ExpertPool, ShaderContext, StackedWeights, Step } from '@gatefold/shaders';
import type { GemvTile } from '../../packages/shaders/src/gemv-tile.ts';
import { formatConditions } from '../../packages/shaders/src/planar.ts';
import { stackedRequest } from '../../packages/shaders/src/weights.ts';
import downCode from './wgsl/int8_down.wesl?raw';
import gateUpCode from './wgsl/int8_gate_up.wesl?raw';
import gemvCode from './wgsl/int8_gemv.wesl?raw';
import groupsCode from './wgsl/int8_groups.wesl?raw';
import inputCode from './wgsl/int8_input.wesl?raw';

const sources = {
  'int8_down.wesl': downCode,
  'int8_gate_up.wesl': gateUpCode,
  'int8_gemv.wesl': gemvCode,
  'int8_groups.wesl': groupsCode,
  'int8_input.wesl': inputCode,
};

export interface Int8GemvArgs {
  readonly weights: StackedWeights;
  readonly x: GPUBufferBinding;
  readonly out: GPUBufferBinding;
  readonly norm: { readonly weight: GPUBufferBinding; readonly eps: number } | undefined;
  readonly residual: boolean;
}

/** wgsl/int8_gemv.wesl */
export function int8Gemv(context: ShaderContext, { weights, x, out, norm, residual }: Int8GemvArgs, tile: GemvTile): Promise<Step> {
  const { conditions, constants, rows } = stackedRequest('int8_gemv', weights);
  return context.step({
    label: 'int8_gemv',
    module: 'int8_gemv',
    sources,
    conditions: { ...conditions, NORM: norm !== undefined, RESIDUAL: residual },
    constants: { ...constants, ...tileConstants(tile), ROWS: rows, ...(norm ? { EPS: norm.eps } : {}) },
    bindings: { 0: weights.binding, 1: x, 2: out, ...(norm ? { 8: norm.weight } : {}) },
    workgroups: [Math.ceil(rows / tileRows(tile)), 1, 1],
  });
}

export interface Int8Experts {
  readonly ids: GPUBufferBinding;
  readonly slots: GPUBufferBinding;
  readonly pool: ExpertPool;
  readonly topK: number;
  /** [topK, 2, width / 32] of 16 bytes, and of 8. */
  readonly hidden: { readonly bytes: GPUBufferBinding; readonly scales: GPUBufferBinding };
}

/** wgsl/int8_gate_up.wesl */
export function int8GateUp(context: ShaderContext, { ids, slots, pool, topK, hidden, x }: Int8Experts & { readonly x: GPUBufferBinding }, tile: GemvTile): Promise<Step> {
  const [gate, up] = pool.matrices;
  if (!gate || !up) throw new Error('gate and up are needed');
  return context.step({
    label: 'int8_gate_up',
    module: 'int8_gate_up',
    sources,
    conditions: { ...formatConditions([gate.type, up.type]), SWIGLU: true },
    constants: {
      ...tileConstants(tile),
      GROUPS: gate.cols / 32,
      WIDTH: gate.rows,
      SLOT_WORDS: pool.slotWords,
      GATE_TYPE: gate.type,
      GATE_BASE: gate.baseWord,
      UP_TYPE: up.type,
      UP_BASE: up.baseWord,
    },
    bindings: { ...poolBinding(pool), 1: x, 2: ids, 3: slots, 4: hidden.bytes, 5: hidden.scales },
    workgroups: [gate.rows / tileRows(tile), topK, 1],
  });
}

/** wgsl/int8_down.wesl */
export function int8Down(
  context: ShaderContext,
  { ids, slots, pool, topK, hidden, weights, out }: Int8Experts & { readonly weights: GPUBufferBinding; readonly out: GPUBufferBinding },
  tile: GemvTile,
): Promise<Step> {
  const [down] = pool.matrices;
  if (!down) throw new Error('down is needed');
  const sets = tile.threads / tile.lanes;
  const split = Math.min(topK, sets);
  return context.step({
    label: 'int8_down',
    module: 'int8_down',
    sources,
    conditions: formatConditions([down.type]),
    constants: {
      ...tileConstants(tile),
      GROUPS: down.cols / 32,
      WIDTH: down.rows,
      TOP_K: topK,
      SPLIT: split,
      SLOT_WORDS: pool.slotWords,
      DOWN_TYPE: down.type,
      DOWN_BASE: down.baseWord,
    },
    bindings: { ...poolBinding(pool), 1: hidden.bytes, 2: ids, 3: weights, 4: slots, 5: out, 6: hidden.scales },
    workgroups: [Math.ceil(down.rows / ((sets / split) * tile.rowsAThread)), 1, 1],
  });
}

function poolBinding({ pages }: ExpertPool): Record<number, GPUBufferBinding> {
  const [page] = pages;
  if (!page || pages.length > 1) throw new Error('the pool must be one page');
  return { 0: page };
}

const tileConstants = ({ threads, lanes, rowsAThread }: GemvTile) => ({ THREADS: threads, LANES: lanes, ROWS_A_THREAD: rowsAThread });
const tileRows = ({ threads, lanes, rowsAThread }: GemvTile) => (threads / lanes) * rowsAThread;

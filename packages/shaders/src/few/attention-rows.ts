import { attentionRequest, checkAttention, type AttentionShape, type AttentionVariant } from '../attention-shape.ts';
import { blockHeads, MOST_VALUE_DIM, mostSplits, splitCount, TILE } from '../attention-splits.ts';
import { bindGroupOf, type ShaderContext } from '../context.ts';
import { decodeSources } from '../decode-sources.ts';
import { KernelArgumentError } from '../errors.ts';
import { MOST_FEW } from '../gemm.ts';
import { inputsRequest, type AttentionInputs } from '../rope.ts';
import type { BatchSize, Step } from '../step.ts';
import { kvRows } from '../wgsl/few/kv_rows.wesl.ts';

/** Where bindings may start. */
const ALIGNMENT = 256;
/** Storage buffers that the first stage binds beside the caches. */
const OTHER_BUFFERS = 2;
/** First binding of the caches. */
const CACHES = 16;

export interface AttentionRowsArgs extends AttentionVariant {
  readonly label: string;
  /** `qkv` is [rows, …]. */
  readonly inputs: AttentionInputs;
  /** Uniform, `MOST_FEW` times 16 bytes: position, 1 where a session has the row (else 0), id, 0. */
  readonly rows: GPUBufferBinding;
  /** [rows, heads, valueDim] f32, written where a session has the row */
  readonly out: GPUBufferBinding;
  /** [heads] f32: a logit a head that joins the softmax and has no value. */
  readonly sinks?: GPUBufferBinding;
  /** Positions of each KV cache. */
  readonly maxContext: number;
  /** Bytes from the start of a session's keys, [positions, kvHeads, headDim] of `cacheType`, to its values, [positions, kvHeads, valueDim]. */
  readonly valuesOffset: number;
  /** Of scratch: `attentionRowsBytes`. */
  readonly ready: GPUBuffer;
  readonly partial: GPUBuffer;
  /** `MOST_FEW` times 256 bytes, in place of caches where nobody has the row. */
  readonly vacant: GPUBuffer;
}

/** Bytes of scratch that `attentionRows` takes. */
export function attentionRowsBytes(shape: AttentionShape, maxContext: number): { readonly ready: number; readonly partial: number } {
  const splits = heldSplits(shape, maxContext);
  return { ready: readyLayout(shape).bytes, partial: MOST_FEW * splits * shape.heads * (shape.valueDim + 4) * 4 };
}

/**
 * Attention of up to `MOST_FEW` sessions' tokens, one a row, each over its session's cache at a position of its own: their
 * inputs in one dispatch, the splits of all in one or, where a stage may bind too few buffers, two or more, and one for the
 * softmax over these. The function that it returns makes the steps for certain caches at once, since sessions come and go.
 * Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function attentionRows(context: ShaderContext, args: AttentionRowsArgs): Promise<(caches: readonly (GPUBufferBinding | undefined)[]) => readonly Step[]> {
  const { label, inputs, rows, out, sinks, heads, kvHeads, headDim, valueDim, cacheType = 'f32', window, chunked = false, maxContext, valuesOffset, ready, partial, vacant } = args;
  checkAttention(context, label, args, MOST_VALUE_DIM);
  const bytes = attentionRowsBytes(args, maxContext);
  if (ready.size < bytes.ready || partial.size < bytes.partial) {
    throw new KernelArgumentError(label, `scratch of ${ready.size} and ${partial.size} bytes; needs ${bytes.ready} and ${bytes.partial} (attentionRowsBytes)`);
  }
  const { keys, values } = readyLayout(args);
  const vectorBytes = cacheType === 'f16' ? 8 : 16;
  if (valuesOffset % vectorBytes !== 0) throw new KernelArgumentError(label, `values ${valuesOffset} bytes after keys; must be a multiple of ${vectorBytes}`);
  const { conditions, constants } = attentionRequest(args, false);
  const prepared = inputsRequest(label, args, inputs);
  const block = blockHeads(args);
  const splits = { HEADS: heads, MAX_SPLITS: mostSplits(args, MOST_FEW), SPLITS: heldSplits(args, maxContext) };
  const across = (size: BatchSize) => splitCount(Math.min(size.context, maxContext, window || Infinity), splits.MAX_SPLITS);

  const rope = context.step({
    label: `${label}.rope`,
    module: 'rope_and_cache',
    conditions: { ...prepared.conditions, CACHE_WRITE: true, ROWS: true },
    constants: { ...prepared.constants, THREADS: context.threads(inputs.qkNorm === 'full' ? 256 : 64), HEADS: heads, KV_HEADS: kvHeads, HEAD_VECTORS: headDim / 4, VALUE_VECTORS: valueDim / 4 },
    bindings: { ...prepared.bindings, 1: { buffer: ready, size: keys }, 2: { buffer: ready, offset: keys, size: values - keys }, 3: { buffer: ready, offset: values }, 4: rows },
    workgroups: ({ tokens }) => [heads + 2 * kvHeads, tokens, 1],
  });
  // As many caches as a stage may bind, shared out evenly. A CPU adapter, whose dispatches cost little, compiles each one's code for seconds.
  const most = context.narrow ? 2 : Math.min(MOST_FEW, context.device.limits.maxStorageBuffersPerShaderStage - OTHER_BUFFERS);
  const together = Math.ceil(MOST_FEW / Math.ceil(MOST_FEW / most));
  const cacheOf = (row: number, cache?: GPUBufferBinding): GPUBufferBinding => cache ?? { buffer: vacant, offset: row * ALIGNMENT, size: ALIGNMENT };
  const others = { 1: { buffer: ready }, 4: rows, 5: { buffer: partial } };
  const splitting = Array.from({ length: Math.ceil(MOST_FEW / together) }, async (_, n) => {
    const first = n * together;
    const count = Math.min(together, MOST_FEW - first);
    const bindings = (caches: readonly (GPUBufferBinding | undefined)[]) => ({
      ...others,
      ...Object.fromEntries(Array.from({ length: count }, (__, i) => [CACHES + i, cacheOf(first + i, caches[first + i])])),
    });
    const step = await context.step({
      label: `${label}.split`,
      module: 'attention_decode',
      sources: { ...decodeSources, 'few/kv_rows.wesl': kvRows(count, CACHES) },
      conditions: { ...conditions, ROWS: true, OWN: true, CACHE_WRITE: true, [`CACHES_${count}`]: true, [`BLOCK_${block}`]: block > 1 },
      constants: { ...constants, ...splits, FIRST_ROW: first, OWN_KEYS: keys / 16, OWN_VALUES: values / 16, VALUES_AT: valuesOffset / vectorBytes },
      bindings: bindings([]),
      workgroups: (size) => [across(size), kvHeads * Math.ceil(heads / kvHeads / block), Math.max(0, Math.min(count, size.tokens - first))],
    });
    return (caches: readonly (GPUBufferBinding | undefined)[]) => ({ ...step, bindGroup: bindGroupOf(context.device, step.label, step.pipeline, bindings(caches)) });
  });
  const combine = context.step({
    label: `${label}.combine`,
    module: 'attention_combine',
    sources: decodeSources,
    conditions: { WINDOW: window > 0, CHUNKED: chunked, SINKS: sinks !== undefined, ROWS: true },
    constants: { VALUE_VECTORS: valueDim / 4, ...splits, ...(window > 0 ? { WINDOW_LENGTH: window } : {}) },
    bindings: { 0: out, ...(sinks ? { 1: sinks } : {}), 4: rows, 5: { buffer: partial } },
    workgroups: ({ tokens }) => [heads, Math.ceil(valueDim / 32), tokens],
  });
  const [before, after, ...between] = await Promise.all([rope, combine, ...splitting]);
  return (caches) => [before, ...between.map((split) => split(caches)), after];
}

/** Splits of a row that scratch holds: not those of `maxContext` itself, since just before splits grow longer there are more. */
function heldSplits(shape: AttentionShape, maxContext: number): number {
  return Math.min(mostSplits(shape, MOST_FEW), Math.ceil(maxContext / TILE));
}

/** Queries, keys and values of all rows, ready for attention: where keys and values start, in bytes, and how long all are. */
function readyLayout({ heads, kvHeads, headDim, valueDim }: AttentionShape): { readonly keys: number; readonly values: number; readonly bytes: number } {
  const aligned = (elements: number) => Math.ceil((MOST_FEW * elements * 4) / ALIGNMENT) * ALIGNMENT;
  const keys = aligned(heads * headDim);
  const values = keys + aligned(kvHeads * headDim);
  return { keys, values, bytes: values + aligned(kvHeads * valueDim) };
}

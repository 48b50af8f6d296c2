import { blockHeads, MOST_BLOCK, MOST_VALUE_DIM, mostSplits, splitCount, TILE } from './attention-splits.ts';
import { attentionRequest, checkAttention, type AttentionArgs, type AttentionShape } from './attention-shape.ts';
import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { inputsRequest, type AttentionInputs } from './rope.ts';
import type { Step } from './step.ts';

/** Elements of a group's query heads, and of a head, at most, where the first stage makes them itself. */
const MOST_PREPARED = 1024;
const MOST_HEAD = 256;

export interface AttentionDecodeArgs extends AttentionArgs {
  /** [heads, headDim] f32; or what the first stage makes queries, key and value of, where `preparesInputs` allows it */
  readonly q: GPUBufferBinding | AttentionInputs;
  /** `attentionPartialBytes` of storage. */
  readonly partial: GPUBufferBinding;
  /** Positions of the KV cache. */
  readonly maxContext: number;
}

/** Bytes of scratch that `attentionDecode` takes for a cache of `maxContext` positions. */
export function attentionPartialBytes(shape: AttentionShape & { readonly maxContext: number }): number {
  // Not the splits of `maxContext` itself: just before splits grow longer there are more.
  const splits = Math.min(mostSplits(shape), Math.ceil(shape.maxContext / TILE));
  return splits * shape.heads * (shape.valueDim + 4) * 4;
}

/**
 * Whether `attentionDecode` can take its inputs as they come from their product, which saves the dispatch of
 * `ropeAndCache`: a workgroup must hold all query heads that share a key.
 */
export function preparesInputs({ features }: ShaderContext, { heads, kvHeads, headDim }: AttentionShape, { valueNorm = false }: Pick<AttentionInputs, 'valueNorm'> = {}): boolean {
  const shared = heads / kvHeads;
  if (valueNorm || headDim > MOST_HEAD) return false;
  // Without subgroups, eight heads' products leave no workgroup memory for queries.
  return shared <= (features['SUBGROUPS'] ? MOST_BLOCK : MOST_BLOCK / 2) && shared * headDim <= MOST_PREPARED;
}

/**
 * Attention of one token at position `batch.start` over the KV cache: flash-decoding in two dispatches. Its workgroups
 * follow `BatchSize.context`; a larger context than the true one costs empty workgroups and nothing else.
 * Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function attentionDecode(context: ShaderContext, args: AttentionDecodeArgs): Promise<readonly Step[]> {
  const { label, q, kCache, vCache, out, batch, heads, kvHeads, headDim, valueDim, window, chunked = false, sinks, partial, maxContext } = args;
  checkAttention(context, label, args, MOST_VALUE_DIM);
  const bytes = attentionPartialBytes({ ...args, maxContext });
  const held = partial.size ?? partial.buffer.size - (partial.offset ?? 0);
  if (held < bytes) throw new KernelArgumentError(label, `partial results in ${held} bytes; needs ${bytes} (attentionPartialBytes)`);
  const { conditions, constants } = attentionRequest(args, vCache === undefined);
  const splits = { HEADS: heads, MAX_SPLITS: mostSplits(args) };
  const block = blockHeads(args);
  const prepare = 'qkv' in q;
  if (prepare && !preparesInputs(context, args, q)) throw new KernelArgumentError(label, `${heads} heads of ${headDim} over ${kvHeads} need ropeAndCache first`);
  const inputs = prepare ? inputsRequest(label, args, q) : { conditions: {}, constants: {}, bindings: { 1: q } };
  const { decodeSources: sources } = await import('./decode-sources.ts');
  return Promise.all([
    context.step({
      label: `${label}.split`,
      module: 'attention_decode',
      sources,
      conditions: { ...conditions, ...inputs.conditions, [`BLOCK_${block}`]: block > 1, PREPARE: prepare, OWN: prepare, CACHE_WRITE: prepare },
      constants: { ...constants, ...inputs.constants, ...splits },
      bindings: { ...inputs.bindings, 2: kCache, ...(vCache ? { 3: vCache } : {}), 4: batch, 5: partial },
      workgroups: (size) => {
        const seen = Math.min(size.context, maxContext, window || Infinity);
        return [splitCount(seen, splits.MAX_SPLITS), kvHeads * Math.ceil(heads / kvHeads / block), 1];
      },
    }),
    context.step({
      label: `${label}.combine`,
      module: 'attention_combine',
      sources,
      conditions: { WINDOW: window > 0, CHUNKED: chunked, SINKS: sinks !== undefined },
      constants: { VALUE_VECTORS: valueDim / 4, ...splits, ...(window > 0 ? { WINDOW_LENGTH: window } : {}) },
      bindings: { 0: out, ...(sinks ? { 1: sinks } : {}), 4: batch, 5: partial },
      workgroups: [heads, Math.ceil(valueDim / 32), 1],
    }),
  ]);
}

import { attentionRequest, checkAttention, type AttentionArgs } from './attention-shape.ts';
import type { Conditions, ShaderContext } from './context.ts';
import type { Step } from './step.ts';

/** Tokens of a workgroup. */
const TILE = 32;
const MOST_VALUE_DIM = 512;

export interface AttentionPrefillArgs extends AttentionArgs {
  /** [tokens, heads, headDim] f32 */
  readonly q: GPUBufferBinding;
}

/**
 * Causal attention of the batch's tokens over the KV cache, which already holds their own keys and values: tiled, with
 * online softmax. Throws `KernelArgumentError` for shapes that it cannot serve.
 */
export async function attentionPrefill(context: ShaderContext, args: AttentionPrefillArgs): Promise<Step> {
  const { label, q, kCache, vCache, out, batch, heads, valueDim, sinks } = args;
  checkAttention(context, label, args, MOST_VALUE_DIM);
  const { conditions, constants } = attentionRequest(args, vCache === undefined);
  return context.step({
    label,
    module: 'attention_prefill',
    conditions: { ...conditions, SINKS: sinks !== undefined, ...widestValues(valueDim) },
    constants,
    bindings: { 0: out, 1: q, 2: kCache, ...(vCache ? { 3: vCache } : {}), 4: batch, ...(sinks ? { 5: sinks } : {}) },
    workgroups: ({ tokens }) => [heads, Math.ceil(tokens / TILE), 1],
  });
}

/** Threads hold as many sums as the widest value head of a variant needs. */
function widestValues(valueDim: number): Conditions {
  return { VALUE_128: valueDim > 64, VALUE_256: valueDim > 128, VALUE_512: valueDim > 256 };
}

import { attentionDecode, attentionPrefill, preparesInputs, ropeAndCache, type AttentionInputs, type Step } from '@gatefold/shaders';
import type { AttentionSpec, LayerSpec } from '../../model/spec.ts';
import { joinResidual } from '../join-residual.ts';
import { normStep } from '../norm.ts';
import type { PlanContext } from '../plan-context.ts';
import type { SessionBuffers } from '../session-buffers.ts';
import type { MixerSteps, RowsContext } from './mixer.ts';
import { product } from './product.ts';

/** What attention reads and writes, beside a session's cache. */
interface AttentionRows {
  /** [tokens, `qkvWidth`] f32 */
  readonly qkv: GPUBufferBinding;
  /** [tokens, heads, headDim] f32 of scratch */
  readonly q: GPUBufferBinding;
  /** [tokens, heads, valueDim] f32, written */
  readonly out: GPUBufferBinding;
  /** Of decode: partial results (`attentionPartialBytes`). */
  readonly partial?: GPUBufferBinding;
}

/** Grouped-query attention: Q/K/V, RoPE and cache, attention, output projection. */
export const gqaSteps: MixerSteps<AttentionSpec> = async (context, attention) => {
  const { plan, session, layer, mode } = context;
  const { qkv, out, before, after } = gqaParts(context, attention);
  const q = { buffer: plan.activations('query', attention.heads * attention.headDim) };
  const partial = mode === 'decode' ? { partial: { buffer: plan.attentionPartial(attention) } } : {};
  const attend = attendSteps(plan, session, layer, attention, { qkv: { buffer: qkv }, q, out: { buffer: out }, ...partial });
  return [...(await before), ...(await attend), ...(await after)];
};

/** Elements of a token's row of queries, keys and values. */
export function qkvWidth({ heads, kvHeads, headDim, valueDim, outputGate, valuesAreKeys }: AttentionSpec): number {
  return heads * queryStride({ headDim, outputGate }) + kvHeads * (headDim + (valuesAreKeys ? 0 : valueDim));
}

/** Where a layer's attention reads and writes, and the steps before and after it, which know nothing of positions. */
export function gqaParts(context: RowsContext, attention: AttentionSpec) {
  const { plan, layer } = context;
  const { scratch } = plan;
  const { index, attentionNorm } = layer;
  const block = `blk.${index}.`;
  const qkv = plan.activations('qkv', qkvWidth(attention));
  const out = plan.activations('attention', attention.heads * attention.valueDim);

  // A LayerNorm is a step of its own; an RMSNorm is part of the product.
  const own = attentionNorm.kind === 'layer';
  const norm = own ? normStep(plan, `layer.${index}.attn_norm`, attentionNorm, block, scratch.x, scratch.normed) : [];
  const project = product(context, {
    stage: 'qkv',
    ...(own ? { x: scratch.normed } : { x: scratch.x, norm: { weight: `${block}${attentionNorm.tensor}.weight`, eps: attentionNorm.eps, into: scratch.normed } }),
    weights: `${block}attn_qkv`,
    ...(attention.qkvBias ? { bias: `${block}attn_qkv.bias` } : {}),
    out: qkv,
  });
  const gate = attention.outputGate ? gateStep(context, attention, qkv, out) : [];
  const joining = joinResidual(plan, layer, 'attention');
  const output = product(context, {
    stage: 'attention_out',
    x: out,
    weights: `${block}attn_output.weight`,
    ...(attention.outputBias ? { bias: `${block}attn_output.bias` } : {}),
    out: joining.out,
    residual: joining.residual,
  });
  const inOrder = async (steps: readonly (Step | readonly Step[] | Promise<Step | readonly Step[]>)[]) => (await Promise.all(steps)).flat();
  return { qkv, out, before: inOrder([norm, project].flat()), after: inOrder([gate, output, ...joining.steps].flat()) };
}

/** RoPE, write to the session's cache, attention over it: of one token where there are `partial` results, else of many. */
async function attendSteps(plan: PlanContext, session: SessionBuffers, layer: LayerSpec, attention: AttentionSpec, { qkv, q, out, partial }: AttentionRows): Promise<readonly Step[]> {
  const { shaders } = plan;
  const { index } = layer;
  const { heads, kvHeads, headDim, valueDim } = attention;
  const label = (stage: string) => `layer.${index}.${stage}`;
  const shape = { heads, kvHeads, headDim, valueDim };
  const batch = { buffer: session.batch };
  const cache = { kCache: session.state(index, 'keys'), vCache: session.state(index, 'values'), cacheType: plan.cacheType };
  const inputs = attentionInputs(plan, layer, attention, qkv);
  const attend = { label: label('attention'), ...attentionVariant(plan, layer, attention), ...cache, out, batch };
  // One token's attention makes its inputs by itself where a workgroup can hold them.
  const prepares = partial !== undefined && preparesInputs(shaders, shape, inputs);
  const rotate = prepares ? [] : ropeAndCache(shaders, { label: label('rope'), q, ...cache, batch, ...shape, ...inputs });
  const mix = partial ? attentionDecode(shaders, { ...attend, q: prepares ? inputs : q, partial, maxContext: plan.contextLength }) : attentionPrefill(shaders, { ...attend, q });
  return (await Promise.all([rotate, mix])).flat();
}

/** What makes queries, keys and values of `qkv`, [tokens, `qkvWidth`]. */
export function attentionInputs(plan: PlanContext, { index }: LayerSpec, attention: AttentionSpec, qkv: GPUBufferBinding): AttentionInputs {
  const { weights } = plan;
  const { qkNorm, rope } = attention;
  const block = `blk.${index}.`;
  return {
    qkv,
    queryStride: queryStride(attention),
    qkNorm,
    qkNormEps: attention.qkNormEps,
    qkNormLast: attention.qkNormLast,
    valueNorm: attention.valueNorm,
    valuesAreKeys: attention.valuesAreKeys,
    temperature: attention.temperature,
    ...(qkNorm === 'none' || qkNorm === 'unit'
      ? {}
      : { qNorm: weights.vector(`${block}attn_q_norm.weight`), kNorm: weights.vector(`${block}attn_k_norm.weight`) }),
    rope: rope && { kind: rope.kind, dims: rope.dims, table: { buffer: plan.ropeTable(rope) } },
  };
}

/** What a layer's attention does over its cache, however many tokens there are. */
export function attentionVariant({ weights }: PlanContext, { index }: LayerSpec, attention: AttentionSpec) {
  const { heads, kvHeads, headDim, valueDim, scale, slidingWindow: window, chunked, softcap, sinks } = attention;
  return { heads, kvHeads, headDim, valueDim, scale, window, chunked, softcap, ...(sinks ? { sinks: weights.vector(`blk.${index}.attn_sinks.weight`) } : {}) };
}

function queryStride({ headDim, outputGate }: Pick<AttentionSpec, 'headDim' | 'outputGate'>): number {
  return outputGate ? 2 * headDim : headDim;
}

/** Gates each head's output. Few models do: the kernel is loaded for them. */
async function gateStep({ plan, session, layer }: RowsContext, attention: AttentionSpec, qkv: GPUBuffer, out: GPUBuffer): Promise<Step> {
  const { outputGate } = await import('@gatefold/shaders/mixers');
  return outputGate(plan.shaders, {
    label: `layer.${layer.index}.output_gate`,
    heads: attention.heads,
    headDim: attention.headDim,
    row: { buffer: qkv },
    stride: qkvWidth(attention),
    out: { buffer: out },
    batch: { buffer: session.batch },
  });
}

import { attentionDecode, attentionPrefill, ropeAndCache, type Step } from '@gatefold/shaders';
import type { AttentionSpec } from '../../model/spec.ts';
import { joinResidual } from '../join-residual.ts';
import { normStep } from '../norm.ts';
import type { MixerContext, MixerSteps } from './mixer.ts';
import { product } from './product.ts';

/** Grouped-query attention: Q/K/V, RoPE and cache, attention, output projection. */
export const gqaSteps: MixerSteps<AttentionSpec> = async (context, attention) => {
  const { plan, session, layer, mode } = context;
  const { shaders, scratch, weights } = plan;
  const { index, attentionNorm } = layer;
  const { heads, kvHeads, headDim, valueDim, qkNorm, rope } = attention;
  const block = `blk.${index}.`;
  const label = (stage: string) => `layer.${index}.${stage}`;
  const shape = { heads, kvHeads, headDim, valueDim };
  const queryStride = attention.outputGate ? 2 * headDim : headDim;
  const stride = heads * queryStride + kvHeads * (headDim + (attention.valuesAreKeys ? 0 : valueDim));
  const qkv = plan.activations('qkv', stride);
  const q = { buffer: plan.activations('query', heads * headDim) };
  const mixed = plan.activations('attention', heads * valueDim);
  const batch = { buffer: session.batch };
  const cache = { kCache: { buffer: session.state(index, 'keys') }, vCache: { buffer: session.state(index, 'values') } };

  // A LayerNorm is a step of its own; an RMSNorm is part of the product.
  const own = attentionNorm.kind === 'layer';
  const norm = own ? normStep(plan, label('attn_norm'), attentionNorm, block, scratch.x, scratch.normed) : [];
  const project = product(context, {
    stage: 'qkv',
    ...(own ? { x: scratch.normed } : { x: scratch.x, norm: { weight: `${block}${attentionNorm.tensor}.weight`, eps: attentionNorm.eps, into: scratch.normed } }),
    weights: `${block}attn_qkv`,
    ...(attention.qkvBias ? { bias: `${block}attn_qkv.bias` } : {}),
    out: qkv,
  });
  const rotate = ropeAndCache(shaders, {
    label: label('rope'),
    qkv: { buffer: qkv },
    q,
    ...cache,
    batch,
    ...shape,
    queryStride,
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
  });
  const attend = {
    label: label('attention'),
    q,
    ...cache,
    out: { buffer: mixed },
    batch,
    ...shape,
    scale: attention.scale,
    window: attention.slidingWindow,
    chunked: attention.chunked,
    softcap: attention.softcap,
    ...(attention.sinks ? { sinks: weights.vector(`${block}attn_sinks.weight`) } : {}),
  };
  const mix =
    mode === 'decode'
      ? attentionDecode(shaders, { ...attend, partial: { buffer: plan.attentionPartial(shape) }, maxContext: plan.contextLength })
      : attentionPrefill(shaders, attend);
  const gate = attention.outputGate ? gateStep(context, attention, qkv, stride, mixed) : [];
  const joining = joinResidual(plan, layer, 'attention');
  const output = product(context, {
    stage: 'attention_out',
    x: mixed,
    weights: `${block}attn_output.weight`,
    ...(attention.outputBias ? { bias: `${block}attn_output.bias` } : {}),
    out: joining.out,
    residual: joining.residual,
  });
  return (await Promise.all([norm, project, rotate, mix, gate, output, ...joining.steps])).flat();
};

/** Gates each head's output. Few models do: the kernel is loaded for them. */
async function gateStep({ plan, session, layer }: MixerContext, { heads, headDim }: AttentionSpec, qkv: GPUBuffer, stride: number, out: GPUBuffer): Promise<Step> {
  const { outputGate } = await import('@gatefold/shaders/mixers');
  return outputGate(plan.shaders, {
    label: `layer.${layer.index}.output_gate`,
    heads,
    headDim,
    row: { buffer: qkv },
    stride,
    out: { buffer: out },
    batch: { buffer: session.batch },
  });
}

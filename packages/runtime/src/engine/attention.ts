import { attentionDecode, attentionPrefill, gemm, gemv, ropeAndCache, rmsNorm, type Step } from '@gatefold/shaders';
import type { LayerSpec } from '../model/spec.ts';
import type { PlanContext } from './plan-context.ts';
import type { SessionBuffers } from './session-buffers.ts';

/** Norm, Q/K/V, RoPE and cache, attention, output projection and residual add of one layer. */
export async function attentionSteps(
  plan: PlanContext,
  session: SessionBuffers,
  { index, attention, attentionNorm }: LayerSpec,
  mode: 'decode' | 'prefill',
): Promise<readonly Step[]> {
  const { shaders, scratch, weights, spec } = plan;
  const block = `blk.${index}.`;
  const label = (stage: string) => `layer.${index}.${stage}`;
  const bind = (buffer: GPUBuffer): GPUBufferBinding => ({ buffer });
  const norm = { weight: weights.vector(`${block}attn_norm.weight`), eps: attentionNorm.eps };
  const batch = bind(session.batch);
  const qkv = bind(scratch.qkv);
  const cache = { kCache: bind(required(session.keys, index)), vCache: bind(required(session.values, index)) };
  const { heads, kvHeads, headDim, valueDim, rope } = attention;
  const shape = { heads, kvHeads, headDim, valueDim };
  const qkvBias = attention.qkvBias ? { bias: weights.vector(`${block}attn_qkv.bias`) } : {};
  const outBias = attention.outputBias ? { bias: weights.vector(`${block}attn_output.bias`) } : {};
  const qkvWeights = weights.stacked(`${block}attn_qkv`);
  const outWeights = weights.stacked(`${block}attn_output.weight`);

  const rotate = ropeAndCache(shaders, {
    label: label('rope'),
    qkv,
    q: bind(scratch.query),
    ...cache,
    batch,
    ...shape,
    qkNorm: attention.qkNorm,
    qkNormEps: attention.qkNormEps,
    ...(attention.qkNorm === 'none'
      ? {}
      : { qNorm: weights.vector(`${block}attn_q_norm.weight`), kNorm: weights.vector(`${block}attn_k_norm.weight`) }),
    rope: rope && { kind: rope.kind, dims: rope.dims, table: bind(plan.ropeTable(rope)) },
  });
  const attend = {
    q: bind(scratch.query),
    ...cache,
    out: bind(scratch.attention),
    batch,
    ...shape,
    scale: attention.scale,
    window: attention.slidingWindow,
    softcap: attention.softcap,
    ...(attention.sinks ? { sinks: weights.vector(`${block}attn_sinks.weight`) } : {}),
  };

  if (mode === 'decode') {
    return (
      await Promise.all([
        gemv(shaders, { label: label('qkv'), x: bind(scratch.x), norm, weights: qkvWeights, ...qkvBias, out: qkv }),
        rotate,
        attentionDecode(shaders, {
          label: label('attention'),
          ...attend,
          partial: bind(plan.attentionPartial),
          maxContext: plan.contextLength,
        }),
        gemv(shaders, {
          label: label('attention_out'),
          x: bind(scratch.attention),
          weights: outWeights,
          ...outBias,
          out: bind(scratch.x),
          residual: true,
        }),
      ])
    ).flat();
  }
  const normed = bind(scratch.normed);
  const maxTokens = plan.chunk;
  return Promise.all([
    rmsNorm(shaders, { label: label('attention_norm'), x: bind(scratch.x), ...norm, out: normed, width: spec.hiddenSize }),
    gemm(shaders, { label: label('qkv'), x: normed, weights: qkvWeights, ...qkvBias, out: qkv, batch, maxTokens }),
    rotate,
    attentionPrefill(shaders, { label: label('attention'), ...attend }),
    gemm(shaders, {
      label: label('attention_out'),
      x: bind(scratch.attention),
      weights: outWeights,
      ...outBias,
      out: bind(scratch.x),
      residual: true,
      batch,
      maxTokens,
    }),
  ]);
}

function required<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index} in a list of ${list.length}`);
  return item;
}

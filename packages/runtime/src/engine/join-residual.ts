import { rmsNorm, type Step } from '@gatefold/shaders';
import type { LayerSpec } from '../model/spec.ts';
import type { PlanContext } from './plan-context.ts';

/** Where a sub-layer's output goes: onto the residual stream, or where it lies until its norm joins the stream. */
export interface Joining {
  readonly out: GPUBuffer;
  readonly residual: boolean;
  /** What is left to do afterwards. */
  readonly steps: readonly Promise<Step>[];
}

/** How a layer's attention or FFN joins the residual stream. */
export function joinResidual(plan: PlanContext, { index, ...layer }: LayerSpec, part: 'attention' | 'ffn'): Joining {
  const norm = part === 'attention' ? layer.postAttentionNorm : layer.postFfnNorm;
  const { shaders, scratch, spec, weights } = plan;
  if (!norm) return { out: scratch.x, residual: true, steps: [] };
  const block = `blk.${index}.`;
  const out = plan.activations(`${part}_output`, spec.hiddenSize);
  const scaled = part === 'ffn' && layer.outputScale;
  const step = rmsNorm(shaders, {
    label: `layer.${index}.${part}_post_norm`,
    x: { buffer: out },
    weight: weights.vector(`${block}${norm.tensor}.weight`),
    eps: norm.eps,
    out: { buffer: scratch.x },
    width: spec.hiddenSize,
    residual: true,
    ...(scaled ? { outScale: weights.vector(`${block}layer_output_scale.weight`) } : {}),
  });
  return { out, residual: false, steps: [step] };
}

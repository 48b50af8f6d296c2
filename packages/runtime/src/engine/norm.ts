import { rmsNorm, type Step } from '@gatefold/shaders';
import type { NormSpec } from '../model/spec.ts';
import type { PlanContext } from './plan-context.ts';

/**
 * out = norm(x) for each of a pass's tokens, both [tokens, d] f32. Few models have LayerNorms: their kernel is loaded for them.
 * @param block start of the norm's tensor names, `blk.N.` within a layer
 */
export async function normStep({ shaders, spec, weights }: PlanContext, label: string, norm: NormSpec, block: string, x: GPUBuffer, out: GPUBuffer): Promise<Step> {
  const name = `${block}${norm.tensor}`;
  const args = { label, x: { buffer: x }, weight: weights.vector(`${name}.weight`), eps: norm.eps, out: { buffer: out }, width: spec.hiddenSize };
  if (norm.kind === 'rms') return rmsNorm(shaders, args);
  const { layerNorm } = await import('@gatefold/shaders/rare');
  return layerNorm(shaders, { ...args, bias: weights.vector(`${name}.bias`) });
}

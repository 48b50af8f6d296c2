import { gemm, type Step } from '@gatefold/shaders';
import { outputBias, softcapSteps } from './head.ts';
import { normStep } from './norm.ts';
import type { PlanContext } from './plan-context.ts';
import type { PassBuffers } from './session-buffers.ts';

/** Final norm and logits of every token of the batch, for `evaluate`. `logits` is [tokens, stride]. */
export async function allLogitsSteps(plan: PlanContext, session: PassBuffers, logits: GPUBuffer, stride = plan.spec.vocabSize): Promise<{ readonly norm: readonly Step[]; readonly logits: readonly Step[] }> {
  const { shaders, scratch, weights, spec, chunk } = plan;
  const normed = { buffer: scratch.normed };
  const norm = normStep(plan, 'final_norm', spec.finalNorm, '', scratch.x, scratch.normed);
  const project = weights.tensor(spec.output.tensor).pieces.map(({ buffer, matrix, firstRow }) =>
    gemm(shaders, {
      label: 'logits',
      x: normed,
      weights: { binding: { buffer }, matrices: [matrix] },
      out: { buffer: logits },
      outOffset: firstRow,
      outStride: stride,
      scale: spec.output.scale,
      ...outputBias(plan, firstRow, matrix.rows),
      batch: { buffer: session.batch },
      maxTokens: chunk,
    }),
  );
  return { norm: [await norm], logits: await Promise.all([...project, ...softcapSteps(plan, { buffer: logits }, 'tokens', stride)]) };
}

import { embed, gemm, gemv, rmsNorm, softcap, type Step } from '@gatefold/shaders';
import type { PlanContext } from './plan-context.ts';
import type { SessionBuffers } from './session-buffers.ts';

/** Looks the batch's ids up; one dispatch for each piece that the table is cut into. */
export function embeddingSteps({ shaders, scratch, weights, spec, chunk }: PlanContext, session: SessionBuffers): Promise<readonly Step[]> {
  return Promise.all(
    weights.tensor('token_embd.weight').pieces.map(({ buffer, matrix, firstRow }, piece) =>
      embed(shaders, {
        label: 'embed',
        ids: { buffer: session.ids },
        batch: { buffer: session.batch },
        table: { binding: { buffer }, matrices: [matrix] },
        firstRow,
        out: { buffer: scratch.x },
        scale: spec.embedding.scale,
        maxTokens: chunk,
        // One piece is enough to note what was seen.
        ...(piece === 0 ? { seen: { buffer: session.seen } } : {}),
      }),
    ),
  );
}

/** Final norm and logits of the batch's last token; one dispatch for each piece of the output matrix. */
export async function lastLogitsSteps({ shaders, scratch, weights, spec }: PlanContext, session: SessionBuffers): Promise<readonly Step[]> {
  const norm = { weight: weights.vector(`${spec.finalNorm.tensor}.weight`), eps: spec.finalNorm.eps };
  const logits = { buffer: scratch.logits };
  const project = weights.tensor(spec.output.tensor).pieces.map(({ buffer, matrix, firstRow }) =>
    gemv(shaders, {
      label: 'logits',
      x: { buffer: scratch.x },
      row: 'last',
      batch: { buffer: session.batch },
      norm,
      weights: { binding: { buffer }, matrices: [matrix] },
      out: logits,
      outOffset: firstRow,
      scale: spec.output.scale,
    }),
  );
  const cap = spec.output.softcap;
  return Promise.all([...project, ...(cap > 0 ? [softcap(shaders, { label: 'logits_softcap', x: logits, width: spec.vocabSize, cap, rows: 'one' })] : [])]);
}

/** Final norm and logits of every token of the batch, for `evaluate`. `logits` is [tokens, vocab]. */
export async function allLogitsSteps(
  { shaders, scratch, weights, spec, chunk }: PlanContext,
  session: SessionBuffers,
  logits: GPUBuffer,
): Promise<{ readonly norm: readonly Step[]; readonly logits: readonly Step[] }> {
  const normed = { buffer: scratch.normed };
  const norm = rmsNorm(shaders, {
    label: 'final_norm',
    x: { buffer: scratch.x },
    weight: weights.vector(`${spec.finalNorm.tensor}.weight`),
    eps: spec.finalNorm.eps,
    out: normed,
    width: spec.hiddenSize,
  });
  const project = weights.tensor(spec.output.tensor).pieces.map(({ buffer, matrix, firstRow }) =>
    gemm(shaders, {
      label: 'logits',
      x: normed,
      weights: { binding: { buffer }, matrices: [matrix] },
      out: { buffer: logits },
      outOffset: firstRow,
      outStride: spec.vocabSize,
      scale: spec.output.scale,
      batch: { buffer: session.batch },
      maxTokens: chunk,
    }),
  );
  const cap = spec.output.softcap;
  const capped = cap > 0 ? [softcap(shaders, { label: 'logits_softcap', x: { buffer: logits }, width: spec.vocabSize, cap })] : [];
  return { norm: [await norm], logits: await Promise.all([...project, ...capped]) };
}

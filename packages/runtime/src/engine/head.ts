import { embed, gemv, type EmbedArgs, type Step } from '@gatefold/shaders';
import { normStep } from './norm.ts';
import type { PlanContext } from './plan-context.ts';
import type { SessionBuffers } from './session-buffers.ts';

/** Whose tokens a pass embeds. */
export interface Embedded {
  readonly tokens: EmbedArgs['tokens'];
  readonly seen: GPUBuffer;
}

/** What a session's pass embeds. */
export function embeddedOf({ ids, batch, seen }: SessionBuffers): Embedded {
  return { tokens: { ids: { buffer: ids }, batch: { buffer: batch } }, seen };
}

/** Looks ids up, one dispatch for each piece that the table is cut into; then adds learned positions, where the model has them. */
export function embeddingSteps(plan: PlanContext, { tokens, seen }: Embedded): Promise<readonly Step[]> {
  const { shaders, weights, spec, chunk } = plan;
  const out = { buffer: plan.scratch.x };
  const lookUp = weights.tensor('token_embd.weight').pieces.map(({ buffer, matrix, firstRow }, piece) =>
    embed(shaders, {
      label: 'embed',
      tokens,
      table: { binding: { buffer }, matrices: [matrix] },
      firstRow,
      out,
      scale: spec.embedding.scale,
      maxTokens: chunk,
      // One piece is enough to note what was seen.
      ...(piece === 0 ? { seen: { buffer: seen } } : {}),
    }),
  );
  return Promise.all(spec.embedding.learnedPositions ? [...lookUp, positionsStep(plan, tokens)] : lookUp);
}

async function positionsStep({ shaders, weights, scratch }: PlanContext, tokens: Embedded['tokens']): Promise<Step> {
  const { addPositions } = await import('@gatefold/shaders/rare');
  return addPositions(shaders, { label: 'positions', x: { buffer: scratch.x }, table: weights.stacked('position_embd.weight'), ...('rows' in tokens ? { batch: tokens.rows, byRow: true } : { batch: tokens.batch }) });
}

/** Final norm and logits of the batch's last token; one dispatch for each piece of the output matrix. */
export async function lastLogitsSteps(plan: PlanContext, session: SessionBuffers): Promise<readonly Step[]> {
  const { shaders, scratch, weights, spec } = plan;
  const { finalNorm } = spec;
  // A LayerNorm is a step of its own; an RMSNorm is part of the product.
  const own = finalNorm.kind === 'layer';
  const before = own ? [normStep(plan, 'final_norm', finalNorm, '', scratch.x, scratch.normed)] : [];
  const norm = own ? {} : { norm: { weight: weights.vector(`${finalNorm.tensor}.weight`), eps: finalNorm.eps } };
  const logits = { buffer: scratch.logits };
  const project = weights.tensor(spec.output.tensor).pieces.map(({ buffer, matrix, firstRow }) =>
    gemv(shaders, {
      label: 'logits',
      x: { buffer: own ? scratch.normed : scratch.x },
      row: 'last',
      batch: { buffer: session.batch },
      ...norm,
      weights: { binding: { buffer }, matrices: [matrix] },
      out: logits,
      outOffset: firstRow,
      scale: spec.output.scale,
      ...outputBias(plan, firstRow, matrix.rows),
    }),
  );
  return Promise.all([...before, ...project, ...softcapSteps(plan, logits, 'one')]);
}

/** The bias of a piece of the output matrix, where the model has one. */
export function outputBias({ weights, spec }: PlanContext, firstRow: number, rows: number): { readonly bias?: GPUBufferBinding } {
  return spec.output.bias ? { bias: { ...weights.vector('output.bias'), offset: firstRow * 4, size: rows * 4 } } : {};
}

/** Soft-caps logits in place, where the model does. @param rows those of the pass's tokens, or one @param width of a row */
export function softcapSteps({ shaders, spec }: PlanContext, x: GPUBufferBinding, rows: 'tokens' | 'one', width = spec.vocabSize): readonly Promise<Step>[] {
  const cap = spec.output.softcap;
  if (cap === 0) return [];
  return [import('@gatefold/shaders/rare').then(({ softcap }) => softcap(shaders, { label: 'logits_softcap', x, width, cap, rows }))];
}

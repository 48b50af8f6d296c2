import { attentionDecode, attentionPrefill } from '@gatefold/shaders';
import { headProduct, latentCache } from '@gatefold/shaders/mixers';
import type { MlaSpec } from '../../model/spec.ts';
import type { MixerSteps } from './mixer.ts';
import { product } from './product.ts';

/**
 * Multi-head latent attention in its absorbed form: a query is brought into the space of the latent vectors, which then
 * are keys and values of all heads at once; the cache stays as small as they are.
 */
export const mlaSteps: MixerSteps<MlaSpec> = async (context, mla) => {
  const { plan, session, layer, mode } = context;
  const { shaders, scratch, weights } = plan;
  const { heads, queryRank, latentDim, plainDim, ropeDim, valueDim } = mla;
  const block = `blk.${layer.index}.`;
  const label = (stage: string) => `layer.${layer.index}.${stage}`;
  const batch = { buffer: session.batch };
  const cache = session.state(layer.index, 'latent');
  const shape = { heads, kvHeads: 1, headDim: latentDim + ropeDim, valueDim: latentDim };

  // Queries (or their latent vector), the latent vector of keys and values, the shared part of the keys.
  const queryWidth = heads * (plainDim + ropeDim);
  const first = queryRank > 0 ? queryRank : queryWidth;
  const stride = first + latentDim + ropeDim;
  const row = plan.activations('latent', stride);
  const down = product(context, {
    stage: 'latent',
    x: scratch.x,
    norm: { weight: `${block}${layer.attentionNorm.tensor}.weight`, eps: layer.attentionNorm.eps, into: scratch.normed },
    weights: `${block}attn_latent`,
    out: row,
  });
  const q = queryRank > 0 ? { buffer: plan.activations('query', queryWidth), stride: queryWidth } : { buffer: row, stride };
  const up =
    queryRank > 0
      ? product(context, {
          stage: 'query',
          x: row,
          stride,
          norm: { weight: `${block}attn_q_a_norm.weight`, eps: mla.normEps, into: plan.activations('query_latent', queryRank) },
          weights: `${block}attn_q_b.weight`,
          out: q.buffer,
        })
      : [];

  const query = { buffer: plan.activations('latent_query', heads * shape.headDim) };
  const rotate = latentCache(shaders, {
    label: label('latent_cache'),
    heads,
    plainDim,
    ropeDim,
    latentDim,
    row: { buffer: { buffer: row }, stride, first },
    q: { buffer: { buffer: q.buffer }, stride: q.stride },
    norm: { weight: weights.vector(`${block}attn_kv_a_norm.weight`), eps: mla.normEps },
    table: { buffer: plan.ropeTable(mla.rope) },
    batch,
    query,
    cache,
  });

  const older = mla.upProjection === 'kv-b';
  const many = mode === 'prefill';
  const absorb = headProduct(shaders, {
    label: label('absorb'),
    heads,
    weights: weights.stacked(`${block}${older ? 'attn_kv_b' : 'attn_k_b'}.weight`),
    firstRow: 0,
    rows: older ? plainDim : latentDim,
    transposed: older,
    x: { buffer: { buffer: q.buffer }, stride: q.stride, headStride: plainDim + ropeDim },
    out: { buffer: query, stride: heads * shape.headDim, headStride: shape.headDim },
    batch,
    many,
  });

  const mixed = { buffer: plan.activations('latent_out', heads * latentDim) };
  const attend = { label: label('attention'), q: query, kCache: cache, out: mixed, batch, ...shape, scale: mla.scale, window: 0, softcap: 0 };
  const attention =
    mode === 'decode'
      ? attentionDecode(shaders, { ...attend, partial: { buffer: plan.attentionPartial(shape) }, maxContext: plan.contextLength })
      : attentionPrefill(shaders, attend);

  const values = plan.activations('values', heads * valueDim);
  const expand = headProduct(shaders, {
    label: label('values'),
    heads,
    weights: weights.stacked(`${block}${older ? 'attn_kv_b' : 'attn_v_b'}.weight`),
    firstRow: older ? plainDim : 0,
    rows: valueDim,
    transposed: false,
    x: { buffer: mixed, stride: heads * latentDim, headStride: latentDim },
    out: { buffer: { buffer: values }, stride: heads * valueDim, headStride: valueDim },
    batch,
    many,
  });
  const output = product(context, { stage: 'attention_out', x: values, weights: `${block}attn_output.weight`, out: scratch.x, residual: true });
  return (await Promise.all([down, up, rotate, absorb, attention, expand, output])).flat();
};

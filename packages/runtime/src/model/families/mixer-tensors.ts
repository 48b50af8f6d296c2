import type { AttentionSpec, MixerSpec, MlaSpec } from '../spec.ts';

export interface ExpectedTensor {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
}

/** Tensors of one layer's mixer. @param block the names' start, `blk.N.` */
export function mixerTensors(block: string, mixer: MixerSpec, hiddenSize: number): Iterable<ExpectedTensor> {
  switch (mixer.kind) {
    case 'gqa':
      return attentionTensors(block, mixer, hiddenSize);
    case 'mla':
      return mlaTensors(block, mixer, hiddenSize);
  }
}

function* attentionTensors(block: string, attention: AttentionSpec, hiddenSize: number): Generator<ExpectedTensor> {
  const { heads, kvHeads, headDim, valueDim, qkNorm } = attention;
  const rows = { attn_q: heads * headDim, attn_k: kvHeads * headDim, ...(attention.valuesAreKeys ? {} : { attn_v: kvHeads * valueDim }) };
  for (const [name, count] of Object.entries(rows)) {
    yield { name: `${block}${name}.weight`, shape: [count, hiddenSize] };
    if (attention.qkvBias) yield { name: `${block}${name}.bias`, shape: [count] };
  }
  yield { name: `${block}attn_output.weight`, shape: [hiddenSize, heads * valueDim] };
  if (attention.outputBias) yield { name: `${block}attn_output.bias`, shape: [hiddenSize] };
  if (attention.sinks) yield { name: `${block}attn_sinks.weight`, shape: [heads] };
  if (qkNorm === 'none' || qkNorm === 'unit') return;
  const full = qkNorm === 'full';
  yield { name: `${block}attn_q_norm.weight`, shape: [full ? rows.attn_q : headDim] };
  yield { name: `${block}attn_k_norm.weight`, shape: [full ? rows.attn_k : headDim] };
}

function* mlaTensors(block: string, mla: MlaSpec, hiddenSize: number): Generator<ExpectedTensor> {
  const { heads, queryRank, latentDim, plainDim, ropeDim, valueDim } = mla;
  const queries = heads * (plainDim + ropeDim);
  if (queryRank > 0) {
    yield { name: `${block}attn_q_a.weight`, shape: [queryRank, hiddenSize] };
    yield { name: `${block}attn_q_a_norm.weight`, shape: [queryRank] };
    yield { name: `${block}attn_q_b.weight`, shape: [queries, queryRank] };
  } else {
    yield { name: `${block}attn_q.weight`, shape: [queries, hiddenSize] };
  }
  yield { name: `${block}attn_kv_a_mqa.weight`, shape: [latentDim + ropeDim, hiddenSize] };
  yield { name: `${block}attn_kv_a_norm.weight`, shape: [latentDim] };
  if (mla.upProjection === 'kv-b') {
    yield { name: `${block}attn_kv_b.weight`, shape: [heads * (plainDim + valueDim), latentDim] };
  } else {
    yield { name: `${block}attn_k_b.weight`, shape: [heads, latentDim, plainDim] };
    yield { name: `${block}attn_v_b.weight`, shape: [heads, valueDim, latentDim] };
  }
  yield { name: `${block}attn_output.weight`, shape: [hiddenSize, heads * valueDim] };
}

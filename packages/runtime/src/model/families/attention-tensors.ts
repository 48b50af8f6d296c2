import type { AttentionSpec } from '../spec.ts';

export interface ExpectedTensor {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** A matrix that is read as plain F32, like a vector. */
  readonly plain?: boolean;
}

/** Tensors of one layer's grouped-query attention. @param block the names' start, `blk.N.` */
export function* attentionTensors(block: string, attention: AttentionSpec, hiddenSize: number): Generator<ExpectedTensor> {
  const { heads, kvHeads, headDim, valueDim, qkNorm } = attention;
  const rows = { attn_q: heads * headDim * (attention.outputGate ? 2 : 1), attn_k: kvHeads * headDim, ...(attention.valuesAreKeys ? {} : { attn_v: kvHeads * valueDim }) };
  const stacked = Object.values(rows).reduce((sum, count) => sum + count, 0);
  for (const [name, count] of attention.fusedQkv ? [['attn_qkv', stacked] as const] : Object.entries(rows)) {
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

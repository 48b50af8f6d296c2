import type { AttentionSpec, DeltaNetSpec, MixerSpec, MlaSpec, ShortConvSpec } from '../spec.ts';
import type { ExpectedTensor } from './attention-tensors.ts';

/** What a layer can have in place of grouped-query attention. */
export type OtherMixerSpec = Exclude<MixerSpec, AttentionSpec>;

/** Tensors of one layer's mixer. @param block the names' start, `blk.N.` */
export function mixerTensors(block: string, mixer: OtherMixerSpec, hiddenSize: number): Iterable<ExpectedTensor> {
  switch (mixer.kind) {
    case 'mla':
      return mlaTensors(block, mixer, hiddenSize);
    case 'short-conv':
      return shortConvTensors(block, mixer, hiddenSize);
    case 'delta-net':
      return deltaNetTensors(block, mixer, hiddenSize);
  }
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

function* shortConvTensors(block: string, { kernel }: ShortConvSpec, hiddenSize: number): Generator<ExpectedTensor> {
  yield { name: `${block}shortconv.in_proj.weight`, shape: [3 * hiddenSize, hiddenSize] };
  yield { name: `${block}shortconv.conv.weight`, shape: [hiddenSize, kernel], plain: true };
  yield { name: `${block}shortconv.out_proj.weight`, shape: [hiddenSize, hiddenSize] };
}

function* deltaNetTensors(block: string, net: DeltaNetSpec, hiddenSize: number): Generator<ExpectedTensor> {
  const values = net.valueHeads * net.valueDim;
  const channels = 2 * net.keyHeads * net.keyDim + values;
  yield { name: `${block}attn_qkv.weight`, shape: [channels, hiddenSize] };
  yield { name: `${block}attn_gate.weight`, shape: [values, hiddenSize] };
  const rates = net.valueOrder === 'tiled' ? ['ssm_beta', 'ssm_alpha'] : ['ssm_ba'];
  for (const name of rates) yield { name: `${block}${name}.weight`, shape: [(2 * net.valueHeads) / rates.length, hiddenSize] };
  yield { name: `${block}ssm_conv1d.weight`, shape: [channels, net.kernel], plain: true };
  yield { name: `${block}ssm_dt.bias`, shape: [net.valueHeads] };
  yield { name: `${block}ssm_a`, shape: [net.valueHeads] };
  yield { name: `${block}ssm_norm.weight`, shape: [net.valueDim] };
  yield { name: `${block}ssm_out.weight`, shape: [hiddenSize, values] };
}

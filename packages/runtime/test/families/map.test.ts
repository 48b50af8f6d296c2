import { describe, expect, it } from 'vitest';
import { ModelMetadataError, ModelTensorError, UnsupportedFamilyError } from '../../src/model/families/errors.ts';
import { specFromGguf, SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { UnsupportedTensorTypeError } from '../../src/model/gguf/errors.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { read } from '../gguf/refusals.ts';
import { F32, pair, tensor, tinyModel, type TinyOptions } from '../gguf/tiny-model.ts';
import { T, type WrittenPair, type WrittenTensor } from '../gguf/write-gguf.ts';

interface Changes {
  /** Pairs that replace those of the same key, or are added. */
  readonly pairs?: readonly WrittenPair[];
  readonly tensors?: readonly WrittenTensor[];
  /** Keys and tensors to leave out. */
  readonly without?: readonly string[];
}

/** Maps a tiny model with something changed. */
async function map(options: TinyOptions, { pairs = [], tensors = [], without = [] }: Changes = {}): Promise<ModelSpec> {
  const base = tinyModel(options);
  const left = (name: string | Uint8Array) => typeof name === 'string' && !without.includes(name);
  return specFromGguf(
    await read({
      pairs: [...base.pairs.filter(({ key }) => left(key) && !pairs.some((changed) => changed.key === key)), ...pairs],
      tensors: [...base.tensors.filter(({ name }) => left(name) && !tensors.some((changed) => changed.name === name)), ...tensors],
    }),
  );
}

const refusal = (options: TinyOptions, changes: Changes): Promise<unknown> => map(options, changes).then(() => expect.unreachable('accepted'), (error: unknown) => error);

describe('families', () => {
  it('the two of Qwen 3, OLMoE, Llama, Mixtral and PR-MoE', async () => {
    for (const arch of ['llama', 'qwen3', 'olmoe', 'qwen3moe', 'prmoe'] as const) expect((await map({ arch })).arch).toBe(arch);
    const mixtral = await map({ arch: 'llama', experts: 3, layers: 2 });
    expect(mixtral.layers.map(({ ffn }) => ffn)).toMatchObject([0, 1].map(() => ({ kind: 'moe', experts: 3, topK: 1, width: 32, router: { score: 'softmax', softmaxAfterTopK: false, renormalise: { eps: 0 } } })));
  });

  it('another is refused by name', async () => {
    expect(await refusal({ arch: 'llama' }, { pairs: [pair('general.architecture', T.string, 'mamba')] })).toMatchObject({
      name: 'UnsupportedFamilyError',
      code: 'unsupported-family',
      family: 'mamba',
      supported: SUPPORTED_FAMILIES,
    });
    expect(await refusal({ arch: 'llama' }, { pairs: [pair('general.architecture', T.string, '__proto__')] })).toBeInstanceOf(UnsupportedFamilyError);
  });

  it('no family is refused', async () => {
    expect(await refusal({ arch: 'llama' }, { without: ['general.architecture'] })).toMatchObject({ code: 'model-metadata', key: 'general.architecture' });
    expect(await refusal({ arch: 'llama' }, { pairs: [pair('general.architecture', T.u32, 1)] })).toBeInstanceOf(ModelMetadataError);
  });
});

describe('defaults and options', () => {
  it('head size, rotated dimensions, key/value heads and context from the other keys', async () => {
    const spec = await map({ arch: 'llama' }, { without: ['llama.attention.head_count_kv', 'llama.rope.freq_base'] });
    expect(spec.layers[0]?.attention).toMatchObject({ heads: 1, kvHeads: 1, headDim: 32, valueDim: 32, rope: { dims: 32, base: 10000 } });
  });

  it('tied and untied output', async () => {
    expect((await map({ arch: 'llama' })).output.tensor).toBe('token_embd.weight');
    expect((await map({ arch: 'llama' }, { tensors: [tensor('output.weight', [4, 32])] })).output.tensor).toBe('output.weight');
  });

  it('biases and rope factors where the tensors are there', async () => {
    const biases = ['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) => tensor(`blk.0.${name}.bias`, [32]));
    const spec = await map({ arch: 'llama' }, { tensors: [...biases, tensor('rope_freqs.weight', [16])] });
    expect(spec.layers[0]?.attention).toMatchObject({ qkvBias: true, outputBias: true, rope: { frequencyFactors: true } });
    expect(await refusal({ arch: 'llama' }, { tensors: biases.slice(0, 2) })).toMatchObject({ tensor: 'blk.0.attn_v.bias', found: undefined });
  });

  it('per-layer head counts and expert counts', async () => {
    const perLayer = (key: string, values: number[]) => pair(`llama.${key}`, T.array, { type: T.i32, values });
    const spec = await map(
      { arch: 'llama', layers: 2, experts: 2 },
      {
        pairs: [perLayer('attention.head_count', [2, 1]), perLayer('attention.head_count_kv', [1, 1]), perLayer('expert_count', [2, 0]), pair('llama.attention.key_length', T.u32, 32)],
        tensors: [tensor('blk.0.attn_q.weight', [64, 32]), tensor('blk.0.attn_output.weight', [32, 64]), ...['gate', 'up', 'down'].map((name) => tensor(`blk.1.ffn_${name}.weight`, [32, 32]))],
        without: ['blk.1.ffn_gate_inp.weight', 'blk.1.ffn_gate_exps.weight', 'blk.1.ffn_up_exps.weight', 'blk.1.ffn_down_exps.weight'],
      },
    );
    expect(spec.layers).toMatchObject([
      { attention: { heads: 2, kvHeads: 1 }, ffn: { kind: 'moe', experts: 2 } },
      { attention: { heads: 1, kvHeads: 1 }, ffn: { kind: 'dense', width: 32 } },
    ]);
    expect(await refusal({ arch: 'llama', layers: 2 }, { pairs: [perLayer('attention.head_count', [1])] })).toMatchObject({ key: 'llama.attention.head_count', value: 1 });
  });

  it('one tensor for each expert, as in old Mixtral files', async () => {
    const names = ['gate', 'up', 'down'];
    const tensors = names.flatMap((name) => [0, 1].map((expert) => tensor(`blk.0.ffn_${name}.${expert}.weight`, [32, 32])));
    const changes = { tensors, without: names.map((name) => `blk.0.ffn_${name}_exps.weight`) };
    expect((await map({ arch: 'llama', experts: 2 }, changes)).layers[0]?.ffn).toMatchObject({ kind: 'moe', experts: 2 });
    expect(await refusal({ arch: 'llama', experts: 2 }, { ...changes, tensors: tensors.slice(0, 5) })).toMatchObject({ tensor: 'blk.0.ffn_down.1.weight' });
  });

  it('router options', async () => {
    const options = { pairs: [pair('qwen3moe.expert_weights_norm', T.bool, false), pair('qwen3moe.expert_weights_scale', T.f32, 2.5)] };
    expect((await map({ arch: 'qwen3moe' }, options)).layers[0]?.ffn).toMatchObject({ router: { renormalise: null, scale: 2.5 } });
  });

  it('gating functions, groups and biases of the router', async () => {
    const router = async (...pairs: WrittenPair[]) => (await map({ arch: 'qwen3moe', experts: 4 }, { pairs })).layers[0]?.ffn;
    const number = (key: string, value: number) => pair(`qwen3moe.${key}`, T.u32, value);
    expect(await router(number('expert_gating_func', 0))).toMatchObject({ router: { score: 'softmax', softmaxAfterTopK: false } });
    expect(await router(number('expert_gating_func', 2))).toMatchObject({ router: { score: 'sigmoid', renormalise: { eps: 1e-20 }, groups: null } });
    expect(await router(number('expert_gating_func', 3))).toMatchObject({ router: { score: 'none', softmaxAfterTopK: true } });
    expect(await router(number('expert_gating_func', 4))).toMatchObject({ router: { score: 'sqrt-softplus' } });
    const groups = [number('expert_group_count', 2), number('expert_group_used_count', 1)];
    expect(await router(...groups)).toMatchObject({ router: { groups: { count: 2, keep: 1, by: 'max' } } });
    expect(await router(...groups, number('expert_gating_func', 2))).toMatchObject({ router: { groups: { by: 'top2-sum' } } });
    const tensors = [tensor('blk.0.ffn_gate_inp.bias', [2]), tensor('blk.0.exp_probs_b.bias', [2]), tensor('blk.0.ffn_down_exps.scale', [2])];
    expect((await map({ arch: 'qwen3moe' }, { tensors })).layers[0]?.ffn).toMatchObject({ router: { logitBias: true, selectionBias: true, perExpertScale: true } });
  });

  it('shared experts, by their tensors', async () => {
    const shexp = (width: number) => ['gate', 'up'].map((name) => tensor(`blk.0.ffn_${name}_shexp.weight`, [width, 32])).concat(tensor('blk.0.ffn_down_shexp.weight', [32, width]));
    const shared = async (tensors: WrittenTensor[], ...pairs: WrittenPair[]) => (await map({ arch: 'qwen3moe' }, { tensors, pairs })).layers[0]?.ffn;
    const count = pair('qwen3moe.expert_shared_count', T.u32, 2);
    const width = pair('qwen3moe.expert_shared_feed_forward_length', T.u32, 96);
    expect(await shared(shexp(32))).toMatchObject({ shared: { kind: 'shared', width: 32, gated: false } });
    expect(await shared(shexp(64), count)).toMatchObject({ shared: { width: 64 } });
    expect(await shared(shexp(96), count, width)).toMatchObject({ shared: { width: 96 } });
    expect(await shared([...shexp(32), tensor('blk.0.ffn_gate_inp_shexp.weight', [32])])).toMatchObject({ shared: { gated: true } });
    expect(await refusal({ arch: 'qwen3moe' }, { tensors: shexp(32), pairs: [count] })).toMatchObject({ tensor: 'blk.0.ffn_gate_shexp.weight', expected: [64, 32] });
  });

  it('dense layers first, and every other one', async () => {
    const kinds = async (key: string, value: number, dense: readonly number[]) => {
      const names = ['gate', 'up', 'down'];
      const changes = {
        pairs: [pair(`qwen3moe.${key}`, T.u32, value)],
        tensors: dense.flatMap((layer) => names.map((name) => tensor(`blk.${layer}.ffn_${name}.weight`, [32, 32]))),
        without: dense.flatMap((layer) => ['gate_inp', ...names.map((name) => `${name}_exps`)].map((name) => `blk.${layer}.ffn_${name}.weight`)),
      };
      return (await map({ arch: 'qwen3moe', layers: 4 }, changes)).layers.map(({ ffn }) => ffn.kind);
    };
    expect(await kinds('leading_dense_block_count', 1, [0])).toEqual(['dense', 'moe', 'moe', 'moe']);
    expect(await kinds('interleave_moe_layer_step', 2, [0, 2])).toEqual(['dense', 'moe', 'dense', 'moe']);
  });

  it('RoPE scaling', async () => {
    const rope = async (...pairs: WrittenPair[]) => {
      const { attention } = (await map({ arch: 'qwen3' }, { pairs })).layers[0] ?? {};
      return attention?.kind === 'gqa' ? attention.rope : undefined;
    };
    const type = (name: string) => pair('qwen3.rope.scaling.type', T.string, name);
    const factor = pair('qwen3.rope.scaling.factor', T.f32, 4);
    expect(await rope()).toMatchObject({ kind: 'neox', frequencyScale: 1, yarn: null });
    expect(await rope(type('none'), factor)).toMatchObject({ frequencyScale: 1, yarn: null });
    expect(await rope(type('linear'), factor)).toMatchObject({ frequencyScale: 0.25, yarn: null });
    expect(await rope(pair('qwen3.rope.scale_linear', T.f32, 2))).toMatchObject({ frequencyScale: 0.5 });
    expect(await rope(type('yarn'), factor, pair('qwen3.rope.scaling.original_context_length', T.u32, 16))).toMatchObject({
      frequencyScale: 1,
      yarn: { factor: 4, originalContext: 16, extFactor: 1, attnFactor: 1, betaFast: 32, betaSlow: 1 },
    });
    expect(await refusal({ arch: 'qwen3' }, { pairs: [type('longrope')] })).toMatchObject({ key: 'qwen3.rope.scaling.type', value: 'longrope' });
  });

  it('the vocabulary from `vocab_size` where there is no tokenizer', async () => {
    expect((await map({ arch: 'olmoe' }, { without: ['tokenizer.ggml.tokens'], pairs: [pair('olmoe.vocab_size', T.u32, 4)] })).vocabSize).toBe(4);
    expect(await refusal({ arch: 'olmoe' }, { without: ['tokenizer.ggml.tokens'] })).toMatchObject({ key: 'olmoe.vocab_size' });
  });
});

describe('prmoe', () => {
  const pyramid = (...counts: number[]) => pair('prmoe.expert_count', T.array, { type: T.i32, values: counts });
  const residual = pair('prmoe.residual', T.bool, true);
  const mlp = (layer: number, width = 32) => [
    ...['gate', 'up'].map((name) => tensor(`blk.${layer}.ffn_${name}.weight`, [width, 32])),
    tensor(`blk.${layer}.ffn_down.weight`, [32, width]),
  ];
  const coefficient = [tensor('blk.0.ffn_coefficient.weight', [2, 32]), tensor('blk.0.ffn_coefficient.bias', [2])];

  it('experts without an MLP beside them', async () => {
    expect((await map({ arch: 'prmoe' })).layers[0]?.ffn).toMatchObject({ kind: 'moe', experts: 2, topK: 1, router: { score: 'softmax', renormalise: null }, shared: { kind: 'none' } });
  });

  it('residual: an MLP beside the experts, of a width of its own, and dense layers', async () => {
    const changes = {
      pairs: [pyramid(2, 0), residual, pair('prmoe.feed_forward_length', T.u32, 64), pair('prmoe.expert_feed_forward_length', T.u32, 32)],
      tensors: [...mlp(0, 64), ...mlp(1, 64), ...coefficient],
      without: ['gate_inp', 'gate_exps', 'up_exps', 'down_exps'].map((name) => `blk.1.ffn_${name}.weight`),
    };
    const { layers } = await map({ arch: 'prmoe', layers: 2 }, changes);
    expect(layers.map(({ ffn }) => ffn)).toMatchObject([
      { kind: 'moe', experts: 2, width: 32, shared: { kind: 'residual', width: 64 } },
      { kind: 'dense', width: 64 },
    ]);
    for (const { name } of [...mlp(0), ...coefficient]) {
      const tensors = changes.tensors.filter((given) => given.name !== name);
      expect(await refusal({ arch: 'prmoe', layers: 2 }, { ...changes, tensors })).toMatchObject({ code: 'model-tensor', tensor: name, found: undefined });
    }
  });

  it("DeepSpeed's own blocks: LayerNorms, GELU, biases, learned positions, no norm on queries and keys", async () => {
    const names = ['attn_q', 'attn_k', 'attn_v', 'attn_output'];
    const changes = {
      pairs: [pair('prmoe.attention.layer_norm_epsilon', T.f32, 0.5), pair('prmoe.hidden_activation', T.string, 'gelu'), pair('prmoe.rope.dimension_count', T.u32, 0), pair('prmoe.expert_weights_norm', T.bool, true)],
      tensors: [
        tensor('position_embd.weight', [64, 32]),
        ...['output_norm', 'blk.0.attn_norm', 'blk.0.ffn_norm', ...names.map((name) => `blk.0.${name}`)].map((name) => tensor(`${name}.bias`, [32])),
        ...['up', 'down'].map((name) => tensor(`blk.0.ffn_${name}_exps.bias`, [2, 32], F32)),
      ],
      without: ['blk.0.ffn_gate_exps.weight', 'blk.0.attn_q_norm.weight', 'blk.0.attn_k_norm.weight', 'prmoe.attention.layer_norm_rms_epsilon'],
    };
    const norm = { kind: 'layer', eps: 0.5 };
    expect(await map({ arch: 'prmoe' }, changes)).toMatchObject({
      embedding: { learnedPositions: true },
      finalNorm: norm,
      layers: [{ attentionNorm: norm, ffnNorm: norm, attention: { qkNorm: 'none', qkvBias: true, outputBias: true, rope: null }, ffn: { activation: 'gelu', bias: true, router: { renormalise: { eps: 0 } } } }],
    });
    for (const bias of ['output_norm.bias', 'blk.0.attn_norm.bias', 'blk.0.ffn_norm.bias']) {
      const tensors = changes.tensors.filter(({ name }) => name !== bias);
      expect(await refusal({ arch: 'prmoe' }, { ...changes, tensors })).toMatchObject({ code: 'model-tensor', tensor: bias, found: undefined });
    }
    expect(await refusal({ arch: 'prmoe' }, { ...changes, tensors: [...changes.tensors, tensor('blk.0.ffn_gate_exps.weight', [2, 32, 32])] })).toMatchObject({ tensor: 'blk.0.ffn_gate_exps.weight' });
  });

  it('an MLP without `residual`, and what no step computes, are refused', async () => {
    expect(await refusal({ arch: 'prmoe' }, { tensors: mlp(0) })).toMatchObject({ code: 'model-tensor', tensor: 'blk.0.ffn_gate.weight' });
    expect(await refusal({ arch: 'prmoe' }, { pairs: [pair('prmoe.hidden_activation', T.string, 'relu')] })).toMatchObject({ key: 'prmoe.hidden_activation', value: 'relu' });
  });
});

describe('refused metadata', () => {
  it.each(['block_count', 'context_length', 'embedding_length', 'feed_forward_length', 'attention.head_count', 'attention.layer_norm_rms_epsilon', 'expert_used_count'])('%s missing', async (key) => {
    const error = await refusal({ arch: 'olmoe' }, { without: [`olmoe.${key}`] });
    expect(error).toBeInstanceOf(ModelMetadataError);
    expect(error).toMatchObject({ code: 'model-metadata', key: `olmoe.${key}`, message: expect.stringContaining(`olmoe.${key} is missing`) });
  });

  it.each<[string, number, (number | bigint | string)[]]>([
    ['block_count', T.i64, [0, -1, 4097, 1_000_001, 2n ** 62n]],
    ['block_count', T.f32, [NaN, Infinity, 1.5]],
    ['embedding_length', T.i64, [0, -32, 2n ** 40n]],
    ['context_length', T.i32, [0, -1]],
    ['feed_forward_length', T.i32, [0, -1]],
    ['attention.head_count', T.i32, [0, -1, 3]],
    ['attention.head_count_kv', T.i32, [0, -1, 2]],
    ['attention.key_length', T.i32, [0, -1]],
    ['attention.layer_norm_rms_epsilon', T.f32, [NaN, -1, Infinity, 2]],
    ['attention.layer_norm_rms_epsilon', T.string, ['1e-5']],
    ['rope.freq_base', T.f32, [NaN, 0, -1, Infinity]],
    ['rope.dimension_count', T.i32, [0, -2, 31, 34]],
    ['rope.scaling.factor', T.f32, [NaN, -1]],
    ['rope.scaling.type', T.u32, [1]],
    ['expert_count', T.i32, [-1, 2 ** 30]],
    ['expert_used_count', T.i32, [0, -1, 3]],
    ['expert_weights_norm', T.u32, [1]],
    ['expert_gating_func', T.u32, [5, 9]],
    ['leading_dense_block_count', T.i32, [-1]],
    ['interleave_moe_layer_step', T.i32, [0, -1]],
  ])('%s of type %i', async (key, type, values) => {
    for (const value of values) {
      const error = await refusal({ arch: 'olmoe' }, { pairs: [pair(`olmoe.${key}`, type, value)] });
      expect(error, String(value)).toBeInstanceOf(ModelMetadataError);
      expect(error).toMatchObject({ key: key === 'attention.head_count' && value === 3 ? 'olmoe.attention.key_length' : `olmoe.${key}` });
    }
  });
});

describe('refused tensors', () => {
  const arch = 'olmoe';
  const complete = tinyModel({ arch }).tensors;

  it.each(complete.map(({ name }) => name))('%s missing', async (name) => {
    // Two more tensors keep the count plausible, so that the missing one is what is noticed.
    const error = await refusal({ arch }, { without: [name], tensors: [tensor('spare.a', [1]), tensor('spare.b', [1])] });
    expect(error).toBeInstanceOf(ModelTensorError);
    expect(error).toMatchObject({ code: 'model-tensor', tensor: name, found: undefined });
  });

  it.each(complete.map(({ name, ne }) => [name, ne.map(Number).toReversed()] as const))('%s of another shape', async (name, shape) => {
    const wrong = shape.map((size, i) => (i === 0 ? size + 32 : size));
    expect(await refusal({ arch }, { tensors: [tensor(name, wrong)] })).toMatchObject({ code: 'model-tensor', tensor: name, expected: shape, found: wrong });
  });

  it('types that no kernel decodes, by name', async () => {
    const error = await refusal({ arch }, { tensors: [tensor('blk.0.attn_q.weight', [32, 32], 9)] });
    expect(error).toBeInstanceOf(UnsupportedTensorTypeError);
    expect(error).toMatchObject({ code: 'unsupported-tensor-type', tensor: 'blk.0.attn_q.weight', type: 'Q8_1', supported: expect.arrayContaining(['Q4_0', 'Q6_K', 'BF16', 'MXFP4']) });
  });

  it('norms of a type other than F32', async () => {
    expect(await refusal({ arch }, { tensors: [tensor('output_norm.weight', [32], 1)] })).toMatchObject({ tensor: 'output_norm.weight', type: 'F16', supported: ['F32'] });
  });

  it('columns that are no multiple of 32', async () => {
    const odd = { pairs: [pair('llama.embedding_length', T.u32, 40), pair('llama.attention.key_length', T.u32, 32)], tensors: [tensor('token_embd.weight', [4, 40], F32)] };
    expect(await refusal({ arch: 'llama' }, odd)).toMatchObject({ tensor: 'token_embd.weight', message: expect.stringContaining('40 columns') });
  });

  it('tensors that belong to no such model', async () => {
    expect(await refusal({ arch }, { tensors: [tensor('blk.0.ffn_up_extra.weight', [32, 32])] })).toMatchObject({ code: 'model-tensor', tensor: 'blk.0.ffn_up_extra.weight' });
  });

  it('one expert written without its dimension is the same shape', async () => {
    const tensors = ['gate', 'up', 'down'].map((name) => tensor(`blk.0.ffn_${name}_exps.weight`, [32, 32]));
    expect((await map({ arch, experts: 1 }, { tensors: [...tensors, tensor('blk.0.ffn_gate_inp.weight', [32])] })).layers[0]?.ffn).toMatchObject({ experts: 1 });
  });
});

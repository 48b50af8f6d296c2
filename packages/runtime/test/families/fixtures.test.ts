import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnsupportedFamilyError } from '../../src/model/families/errors.ts';
import { specFromGguf, SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from '../gguf/memory-source.ts';

const ROUTER = { score: 'softmax', softmaxAfterTopK: false, logitBias: false, selectionBias: false, groups: null, renormalise: null, scale: 1, perExpertScale: false, weightOn: 'output' };
const RENORMALISED = { ...ROUTER, renormalise: { eps: 0 } };
const dense = { kind: 'dense' };
const gemma = { heads: 4, qkNorm: 'per-head', scale: 1, valueNorm: true };
const mla = { kind: 'mla', heads: 4, plainDim: 64, ropeDim: 32, valueDim: 64, rope: { kind: 'norm', dims: 32 } };
const shortConv = { kind: 'short-conv', kernel: 3 };
const deltaNet = { kind: 'delta-net', keyHeads: 2, valueHeads: 4, keyDim: 64, valueDim: 64, kernel: 4 };
const gated = { kind: 'gqa', qkNorm: 'per-head', outputGate: true, rope: { kind: 'neox', dims: 16 } };
const residual = { kind: 'moe', router: ROUTER, shared: { kind: 'residual', width: 96 } };

/** What is particular about a family: the mixer of all layers or of each, and the FFN of each. */
const PARTICULAR: Readonly<Record<string, { readonly attention: object | readonly object[]; readonly ffn: readonly object[] }>> = {
  'llama-dense-f16': { attention: { qkNorm: 'none', qkvBias: false, rope: { kind: 'norm', frequencyFactors: true } }, ffn: [dense, dense] },
  'mixtral-q5_k': { attention: { qkNorm: 'none', rope: { kind: 'norm', frequencyFactors: false } }, ffn: [{ router: RENORMALISED }, { router: RENORMALISED }] },
  'qwen2-dense-q8_0': { attention: { qkNorm: 'none', qkvBias: true, rope: { kind: 'neox', dims: 32 } }, ffn: [dense, dense] },
  'granite-dense-q8_0': { attention: { qkNorm: 'none', rope: { kind: 'norm' } }, ffn: [dense, dense] },
  'ernie4_5-dense-q8_0': { attention: { qkNorm: 'none', qkvBias: false, rope: { kind: 'norm' } }, ffn: [dense, dense] },
  'deepseek-dense-q8_0': { attention: { qkNorm: 'none', qkvBias: false, rope: { kind: 'norm' } }, ffn: [dense, dense] },
  'lfm2-dense-q8_0': { attention: [shortConv, { kind: 'gqa', qkNorm: 'per-head', rope: { kind: 'neox' } }, shortConv], ffn: [dense, dense, dense] },
  'qwen3-dense-q8_0': { attention: { qkNorm: 'per-head', rope: { kind: 'neox' } }, ffn: [dense, dense] },
  'qwen3moe-q4_k_m': { attention: { qkNorm: 'per-head', rope: { kind: 'neox', dims: 64 } }, ffn: [{ router: RENORMALISED, shared: { kind: 'none' } }, { router: RENORMALISED }] },
  'olmoe-q4_0': { attention: { qkNorm: 'full', qkvBias: false, rope: { kind: 'neox' } }, ffn: [{ router: ROUTER }, { router: ROUTER }] },
  'qwen2moe-q4_1': {
    attention: { qkNorm: 'none', qkvBias: true, rope: { kind: 'neox', dims: 64 } },
    ffn: [0, 1].map(() => ({ router: ROUTER, shared: { kind: 'shared', width: 256, gated: true } })),
  },
  'glm4moe-q5_k': {
    attention: { qkNorm: 'per-head', qkvBias: true, rope: { kind: 'neox', dims: 32 } },
    ffn: [dense, { router: { ...ROUTER, score: 'sigmoid', selectionBias: true, renormalise: { eps: 1e-20 }, scale: Math.fround(1.8) }, shared: { kind: 'shared', width: 256, gated: false } }],
  },
  'ernie4_5-moe-q6_k': {
    attention: { qkNorm: 'none', qkvBias: false, rope: { kind: 'norm', dims: 64 } },
    ffn: [dense, { router: { ...RENORMALISED, selectionBias: true }, shared: { kind: 'shared', width: 512, gated: false } }],
  },
  'granitemoe-q8_0-tied': {
    attention: { qkNorm: 'none', rope: { kind: 'norm' } },
    ffn: [0, 1].map(() => ({ router: { ...ROUTER, score: 'none', softmaxAfterTopK: true }, shared: { kind: 'none' } })),
  },
  'gptoss-mxfp4': {
    attention: [24, 0, 24, 0].map((slidingWindow) => ({
      qkNorm: 'none',
      qkvBias: true,
      outputBias: true,
      sinks: true,
      slidingWindow,
      rope: { kind: 'neox', yarn: { factor: 8, originalContext: 64 } },
    })),
    ffn: [0, 1, 2, 3].map(() => ({ activation: 'swiglu-clamped', bias: true, router: { ...ROUTER, score: 'none', softmaxAfterTopK: true, logitBias: true } })),
  },
  'deepseek2-v2-q4_k_m': {
    attention: { ...mla, queryRank: 256, latentDim: 256, upProjection: 'k-b-v-b', scale: 1 / Math.sqrt(96) },
    ffn: [dense, { router: { ...ROUTER, scale: 1.5 }, shared: { kind: 'shared', width: 512, gated: false } }],
  },
  'deepseek2-v3-q8_0': {
    attention: { ...mla, queryRank: 128, latentDim: 128, upProjection: 'k-b-v-b' },
    ffn: [
      dense,
      ...[1, 2].map(() => ({
        router: { ...ROUTER, score: 'sigmoid', selectionBias: true, groups: { count: 4, keep: 2, by: 'top2-sum' }, renormalise: { eps: 1e-20 }, scale: 2.5 },
        shared: { kind: 'shared', width: 128, gated: false },
      })),
    ],
  },
  'deepseek2-v2-kvb-q5_0': { attention: { ...mla, queryRank: 128, latentDim: 128, upProjection: 'kv-b' }, ffn: [dense, { router: { ...ROUTER, scale: 1.5 } }] },
  'hunyuan-moe-q5_1': {
    attention: { qkNorm: 'per-head', qkNormLast: true, rope: { kind: 'neox' } },
    ffn: [0, 1].map(() => ({ router: RENORMALISED, shared: { kind: 'shared', width: 128, gated: false } })),
  },
  'llama4-q4_k': {
    attention: [
      ...[0, 1, 2].map(() => ({ qkNorm: 'unit', rope: { kind: 'norm' }, slidingWindow: 8192, chunked: true, temperature: null })),
      { qkNorm: 'none', rope: null, slidingWindow: 0, temperature: { scale: 0.1, length: 8192 } },
    ],
    ffn: [0, 1].flatMap(() => [{ ...dense, width: 512 }, { router: { ...ROUTER, score: 'sigmoid', weightOn: 'input' }, shared: { kind: 'shared', width: 256, gated: false } }]),
  },
  'gemma4-q4_0-tied': {
    attention: [
      ...[0, 1].map(() => ({ ...gemma, kvHeads: 2, headDim: 64, valueDim: 64, valuesAreKeys: false, slidingWindow: 24, rope: { base: 10_000, dims: 64, frequencyFactors: false } })),
      { ...gemma, kvHeads: 1, headDim: 128, valueDim: 128, valuesAreKeys: true, slidingWindow: 0, rope: { base: 1_000_000, dims: 128, frequencyFactors: true } },
    ],
    ffn: [0, 1, 2].map(() => ({ activation: 'geglu', router: { ...RENORMALISED, perExpertScale: true, ownNorm: true }, shared: { kind: 'parallel', width: 256 } })),
  },
  'lfm2moe-q4_0': {
    attention: [shortConv, { kvHeads: 2, qkNorm: 'per-head', rope: { kind: 'neox' } }, shortConv, { kvHeads: 2 }],
    ffn: [dense, ...[1, 2, 3].map(() => ({ router: { ...ROUTER, score: 'sigmoid', selectionBias: true, renormalise: { eps: 1e-6 } }, shared: { kind: 'none' } }))],
  },
  'qwen3next-q5_0': {
    attention: [{ ...deltaNet, valueOrder: 'grouped' }, gated],
    ffn: [0, 1].map(() => ({ router: RENORMALISED, shared: { kind: 'shared', width: 64, gated: true } })),
  },
  'qwen35moe-q4_k_m': {
    attention: [{ ...deltaNet, valueOrder: 'tiled' }, { ...deltaNet, valueOrder: 'tiled' }, gated],
    ffn: [0, 1, 2].map(() => ({ router: RENORMALISED, shared: { kind: 'shared', width: 256, gated: true } })),
  },
  'phi3-q8_0': { attention: { fusedQkv: true, qkNorm: 'none', slidingWindow: 24, rope: { kind: 'neox', long: { originalContext: 64 } } }, ffn: [0, 1].map(() => ({ ...dense, fused: true })) },
  'gemma3-q8_0': {
    attention: [
      ...[0, 1, 2, 3, 4].map(() => ({ qkNorm: 'per-head', slidingWindow: 24, rope: { base: 10_000, frequencyScale: 1 } })),
      { qkNorm: 'per-head', slidingWindow: 0, rope: { base: 1_000_000, frequencyScale: 1 / 8 } },
    ],
    ffn: [0, 1, 2, 3, 4, 5].map(() => ({ ...dense, activation: 'geglu', fused: false })),
  },
  'phimoe-q8_0': {
    attention: { qkNorm: 'none', qkvBias: true, outputBias: true, rope: { kind: 'neox', frequencyFactors: true, long: { originalContext: 256 } } },
    ffn: [0, 1].map(() => ({ kind: 'moe', experts: 8, activation: 'swiglu', bias: false, router: { ...ROUTER, score: 'none', sparseMixer: true } })),
  },
  'prmoe-q5_0': { attention: { qkNorm: 'per-head', rope: { kind: 'neox' } }, ffn: [{ ...residual, experts: 2 }, { ...dense, width: 96 }, { ...residual, experts: 4 }] },
  'prmoe-deepspeed': {
    attention: { qkNorm: 'none', qkvBias: true, outputBias: true, rope: null },
    ffn: [{ ...dense, activation: 'gelu', bias: true }, ...[4, 8].map((experts) => ({ kind: 'moe', experts, activation: 'gelu', bias: true, router: RENORMALISED, shared: { kind: 'residual', width: 96 } }))],
  },
};

/** What a Hugging Face configuration would say, from a reference that numpy made. */
function ownConfig(arch: string, keys: Readonly<Record<string, number>>): object {
  return {
    max_position_embeddings: keys[`${arch}.context_length`],
    rms_norm_eps: keys[`${arch}.attention.layer_norm_rms_epsilon`] ?? keys[`${arch}.attention.layer_norm_epsilon`],
    // Gemma has one base for each kind of layer.
    rope_parameters: arch === 'gemma3' ? {} : { rope_theta: keys[`${arch}.rope.freq_base`] },
  };
}

describe('specFromGguf on models of every family', () => {
  it.each(fixtures())('$name', async ({ name, folder }) => {
    const model = await readGguf(new MemorySource('model.gguf', new Uint8Array(readFileSync(join(folder, 'model.gguf')))));
    const arch = String(model.metadata.get('general.architecture'));
    const { dims, gguf_keys: keys, hf_config: config = ownConfig(arch, keys) } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8'));
    if (!SUPPORTED_FAMILIES.includes(arch)) {
      await expect(specFromGguf(model)).rejects.toThrowError(UnsupportedFamilyError);
      await expect(specFromGguf(model)).rejects.toThrowError(`"${arch}" are not supported; supported: llama, `);
      return;
    }
    const spec = await specFromGguf(model);
    expect(spec).toMatchObject({ arch, vocabSize: dims.V, hiddenSize: dims.d, contextLength: config.max_position_embeddings });
    expect(spec.output.tensor).toBe(dims.tie ? 'token_embd.weight' : 'output.weight');
    expect(spec.layers.map(({ index }) => index)).toEqual(Array.from({ length: dims.L }, (_, index) => index));
    for (const { attention, ffn, ffnNorm } of spec.layers) {
      expect(ffnNorm.eps).toBeCloseTo(config.rms_norm_eps ?? config.norm_eps, 10);
      if (attention.kind === 'gqa' && arch !== 'gemma4') {
        expect(attention).toMatchObject({ heads: dims.h, kvHeads: dims.kv, headDim: dims.hd, valueDim: dims.hd });
        expect(attention.scale).toBeCloseTo(config.attention_multiplier ?? 1 / Math.sqrt(dims.hd), 12);
      }
      const base = config.rope_parameters.rope_theta;
      if (base !== undefined && 'rope' in attention && attention.rope) expect(attention.rope).toMatchObject({ base, frequencyScale: 1 });
      if (ffn.kind === 'moe') expect(ffn).toMatchObject({ ...(Array.isArray(dims.E) ? {} : { experts: dims.E }), topK: dims.k, width: dims.ff });
    }
    const { attention, ffn } = PARTICULAR[name] ?? {};
    const multipliers = [spec.embedding.scale, spec.layers[0]?.residualScale, 1 / spec.output.scale];
    for (const [i, expected] of [config.embedding_multiplier ?? (arch.startsWith('gemma') ? Math.sqrt(dims.d) : 1), config.residual_multiplier, config.logits_scaling].entries()) expect(multipliers[i]).toBeCloseTo(expected ?? 1, 6);
    if (attention) expect(spec.layers.map((layer) => layer.attention)).toMatchObject(Array.isArray(attention) ? attention : spec.layers.map(() => attention));
    if (ffn) expect(spec.layers.map((layer) => layer.ffn)).toMatchObject(ffn);
  });
});

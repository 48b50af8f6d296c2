import type { AttentionSpec, DenseSpec, LayerSpec, ModelSpec, MoeSpec, NormSpec, RopeSpec, RouterSpec } from '../spec.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, EPSILON, EXPERTS, FACTOR, HEAD_DIM, HEADS, LAYERS, VOCABULARY, WIDTH } from './limits.ts';
import { ropeSpec } from './rope.ts';

/** Where families of Llama-like decoders differ although their metadata looks alike. */
interface DecoderTraits {
  readonly ropeKind: RopeSpec['kind'];
  readonly qkNorm: AttentionSpec['qkNorm'];
  /** Whether the chosen experts' weights are divided by their sum, unless `expert_weights_norm` says otherwise. */
  readonly renormalise: boolean;
}

/** Two norms, four projections and three FFN matrices: no layer has fewer tensors. */
const MIN_TENSORS_PER_LAYER = 9;

/** Spec of a Llama-like decoder: pre-norms (RMS), grouped-query attention with RoPE, SwiGLU FFN or softmax-routed experts. */
export function decoderSpec(keys: ModelKeys, traits: DecoderTraits): ModelSpec {
  const { arch, model } = keys;
  const layerCount = keys.int('block_count', LAYERS);
  if (layerCount * MIN_TENSORS_PER_LAYER > model.tensors.size) {
    keys.refuse('block_count', `is ${layerCount}, more layers than the file's ${model.tensors.size} tensors make`, layerCount);
  }
  const norm: NormSpec = { kind: 'rms', eps: keys.float('attention.layer_norm_rms_epsilon', EPSILON), bias: false };
  const hiddenSize = keys.int('embedding_length', WIDTH);
  const contextLength = keys.int('context_length', CONTEXT);
  const attention = attentionSpecs(keys, traits, { layerCount, hiddenSize, contextLength, eps: norm.eps });
  const ffn = ffnSpecs(keys, traits, layerCount);
  const layers = attention.map((spec, index): LayerSpec => {
    const block = ffn[index] ?? keys.refuse('block_count', 'does not match the layers');
    return { index, attentionNorm: norm, attention: spec, ffnNorm: norm, ffn: block, residualScale: 1 };
  });
  return {
    arch,
    name: modelName(keys),
    vocabSize: vocabSize(keys),
    hiddenSize,
    contextLength,
    embedding: { scale: 1, learnedPositions: false },
    layers,
    finalNorm: norm,
    output: { tensor: model.tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight', scale: 1, softcap: 0 },
  };
}

function modelName({ arch, model }: ModelKeys): string {
  const name = model.metadata.get('general.name');
  return typeof name === 'string' && name !== '' ? name : arch;
}

/** The embedding has a row for each token of the tokenizer; `vocab_size` counts where a file has no tokenizer. */
function vocabSize(keys: ModelKeys): number {
  const tokens = keys.arrayLength('tokenizer.ggml.tokens');
  return tokens === undefined ? keys.int('vocab_size', VOCABULARY) : tokens;
}

interface Dimensions {
  readonly layerCount: number;
  readonly hiddenSize: number;
  readonly contextLength: number;
  readonly eps: number;
}

function attentionSpecs(keys: ModelKeys, { ropeKind, qkNorm }: DecoderTraits, { layerCount, hiddenSize, contextLength, eps }: Dimensions): AttentionSpec[] {
  const heads = keys.perLayer('attention.head_count', HEADS, layerCount);
  const kvHeads = keys.has('attention.head_count_kv') ? keys.perLayer('attention.head_count_kv', HEADS, layerCount) : heads;
  const headDim = keys.int('attention.key_length', HEAD_DIM, hiddenSize / (heads[0] ?? 1));
  const valueDim = keys.int('attention.value_length', HEAD_DIM, headDim);
  const scale = keys.float('attention.scale', { min: 0, max: FACTOR.max }, 0) || 1 / Math.sqrt(headDim);
  const rope = ropeSpec(keys, ropeKind, headDim, contextLength);
  const hasTensor = (name: string): boolean => keys.model.tensors.has(name);
  return heads.map((layerHeads, layer): AttentionSpec => {
    const layerKvHeads = kvHeads[layer] ?? layerHeads;
    if (layerHeads % layerKvHeads !== 0) keys.refuse('attention.head_count_kv', `is ${layerKvHeads}, which does not divide ${layerHeads} heads`, layerKvHeads);
    return {
      kind: 'gqa',
      heads: layerHeads,
      kvHeads: layerKvHeads,
      headDim,
      valueDim,
      qkNorm,
      qkNormEps: eps,
      qkvBias: ['attn_q', 'attn_k', 'attn_v'].some((name) => hasTensor(`blk.${layer}.${name}.bias`)),
      outputBias: hasTensor(`blk.${layer}.attn_output.bias`),
      scale,
      slidingWindow: 0,
      sinks: false,
      softcap: 0,
      rope,
    };
  });
}

function ffnSpecs(keys: ModelKeys, traits: DecoderTraits, layerCount: number): (DenseSpec | MoeSpec)[] {
  const experts = keys.perLayer('expert_count', EXPERTS, layerCount, 0);
  const denseWidths = keys.perLayer('feed_forward_length', WIDTH, layerCount);
  const hasExperts = experts.some((count) => count > 0);
  const topK = hasExperts ? keys.int('expert_used_count', { min: 1, max: EXPERTS.max }) : 0;
  const router = routerSpec(keys, traits);
  return experts.map((count, layer): DenseSpec | MoeSpec => {
    const denseWidth = denseWidths[layer] ?? 0;
    if (count === 0) {
      const bias = ['ffn_gate', 'ffn_up', 'ffn_down'].some((name) => keys.model.tensors.has(`blk.${layer}.${name}.bias`));
      return { kind: 'dense', width: denseWidth, activation: 'swiglu', bias };
    }
    if (topK > count) keys.refuse('expert_used_count', `is ${topK}, but layer ${layer} has ${count} experts`, topK);
    const width = keys.int('expert_feed_forward_length', WIDTH, denseWidth);
    return { kind: 'moe', experts: count, topK, width, activation: 'swiglu', bias: false, router, shared: { kind: 'none' } };
  });
}

/** Softmax over all experts; the chosen ones' weights renormalised or not, then scaled. */
function routerSpec(keys: ModelKeys, traits: DecoderTraits): RouterSpec {
  // llama.cpp's gating functions: 0 = unset, 1 = softmax.
  keys.int('expert_gating_func', { min: 0, max: 1 }, 1);
  return {
    score: 'softmax',
    softmaxAfterTopK: false,
    logitBias: false,
    selectionBias: false,
    groups: null,
    renormalise: keys.bool('expert_weights_norm', traits.renormalise) ? { eps: 0 } : null,
    scale: keys.float('expert_weights_scale', { min: 0, max: FACTOR.max }, 1) || 1,
    perExpertScale: false,
    weightOn: 'output',
  };
}

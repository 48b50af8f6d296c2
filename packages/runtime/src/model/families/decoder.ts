import type { Activation, AttentionSpec, DenseSpec, LayerSpec, MixerSpec, ModelSpec, MoeSpec, NormSpec, RopeSpec, RouterSpec, SharedExpertSpec } from '../spec.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, EPSILON, EXPERTS, FACTOR, HEAD_DIM, HEADS, LAYERS, VOCABULARY, WIDTH } from './limits.ts';
import { ropeSpec } from './rope.ts';

/** Where families of Llama-like decoders differ although their metadata looks alike. */
export interface DecoderTraits {
  readonly ropeKind: RopeSpec['kind'] | 'none';
  /** Kind of the layers' norms and of the last; default: RMS. */
  readonly norm?: NormSpec['kind'];
  /** Default: none. */
  readonly qkNorm?: AttentionSpec['qkNorm'];
  /** Whether the chosen experts' weights are divided by their sum, unless `expert_weights_norm` says otherwise. */
  readonly renormalise: boolean;
  /** Tensor of the norm before the FFN; default: `ffn_norm`. */
  readonly ffnNorm?: string;
  /** Tensor of the last norm; default: `output_norm`. */
  readonly finalNorm?: string;
  /** What else is particular about attention, by layer. */
  readonly attention?: (layer: number) => Partial<AttentionSpec>;
  /** What a layer has in place of grouped-query attention; undefined where it has that. */
  readonly mixer?: (layer: number) => MixerSpec | undefined;
  /** What else is particular about the router. */
  readonly router?: Partial<RouterSpec>;
  /** Default: SwiGLU. */
  readonly activation?: Activation;
  /** A dense FFN's gate and up are one tensor. Default: false. */
  readonly fusedFfn?: boolean;
}

/** Two norms, a mixer's three tensors and three FFN matrices: no layer has fewer. */
const MIN_TENSORS_PER_LAYER = 8;

/**
 * Spec of a Llama-like decoder: pre-norms, grouped-query attention with RoPE, a gated FFN or routed experts with
 * or without a shared one. What files say by keys or by tensors that are there is read for all families.
 */
export function decoderSpec(keys: ModelKeys, traits: DecoderTraits): ModelSpec {
  const { arch, model } = keys;
  const layerCount = keys.int('block_count', LAYERS);
  if (layerCount * MIN_TENSORS_PER_LAYER > model.tensors.size) {
    keys.refuse('block_count', `is ${layerCount}, more layers than the file's ${model.tensors.size} tensors make`, layerCount);
  }
  const { norm: kind = 'rms' } = traits;
  const eps = keys.float(kind === 'layer' && keys.has('attention.layer_norm_epsilon') ? 'attention.layer_norm_epsilon' : 'attention.layer_norm_rms_epsilon', EPSILON);
  const norm = (tensor: string): NormSpec => ({ tensor, kind, eps });
  const hiddenSize = keys.int('embedding_length', WIDTH);
  const contextLength = keys.int('context_length', CONTEXT);
  const mixers = mixerSpecs(keys, traits, { layerCount, hiddenSize, contextLength, eps });
  const ffn = ffnSpecs(keys, traits, layerCount);
  const layers = mixers.map((attention, index): LayerSpec => {
    const block = ffn[index] ?? keys.refuse('block_count', 'does not match the layers');
    return { index, attentionNorm: norm('attn_norm'), attention, ffnNorm: norm(traits.ffnNorm ?? 'ffn_norm'), ffn: block, residualScale: 1, outputScale: false };
  });
  return {
    arch,
    name: modelName(keys),
    vocabSize: vocabSize(keys),
    hiddenSize,
    contextLength,
    embedding: { scale: 1, learnedPositions: model.tensors.has('position_embd.weight') },
    layers,
    finalNorm: norm(traits.finalNorm ?? 'output_norm'),
    output: { tensor: model.tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight', bias: model.tensors.has('output.bias'), scale: 1, softcap: 0 },
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

function mixerSpecs(keys: ModelKeys, { ropeKind, qkNorm = 'none', attention, mixer }: DecoderTraits, { layerCount, hiddenSize, contextLength, eps }: Dimensions): MixerSpec[] {
  const heads = keys.perLayer('attention.head_count', HEADS, layerCount);
  const kvHeads = keys.has('attention.head_count_kv') ? keys.perLayer('attention.head_count_kv', { ...HEADS, min: 0 }, layerCount) : heads;
  const headDim = keys.int('attention.key_length', HEAD_DIM, hiddenSize / (heads[0] ?? 1));
  const valueDim = keys.int('attention.value_length', HEAD_DIM, headDim);
  const scale = keys.float('attention.scale', { min: 0, max: FACTOR.max }, 0) || 1 / Math.sqrt(headDim);
  const rope = ropeKind === 'none' ? null : ropeSpec(keys, ropeKind, headDim, contextLength);
  const hasTensor = (name: string): boolean => keys.model.tensors.has(name);
  return heads.map((layerHeads, layer): MixerSpec => {
    const other = mixer?.(layer);
    if (other) return other;
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
      qkNormLast: false,
      valueNorm: false,
      valuesAreKeys: false,
      fusedQkv: hasTensor(`blk.${layer}.attn_qkv.weight`),
      qkvBias: ['attn_q', 'attn_k', 'attn_v', 'attn_qkv'].some((name) => hasTensor(`blk.${layer}.${name}.bias`)),
      outputBias: hasTensor(`blk.${layer}.attn_output.bias`),
      outputGate: false,
      scale,
      slidingWindow: 0,
      chunked: false,
      sinks: false,
      softcap: 0,
      rope,
      temperature: null,
      ...attention?.(layer),
    };
  });
}

function ffnSpecs(keys: ModelKeys, traits: DecoderTraits, layerCount: number): (DenseSpec | MoeSpec)[] {
  const { activation = 'swiglu', fusedFfn: fused = false } = traits;
  const experts = keys.perLayer('expert_count', EXPERTS, layerCount, 0);
  const denseWidths = keys.perLayer('feed_forward_length', WIDTH, layerCount);
  const hasExperts = experts.some((count) => count > 0);
  const topK = hasExperts ? keys.int('expert_used_count', { min: 1, max: EXPERTS.max }) : 0;
  const firstMoe = keys.int('leading_dense_block_count', { min: 0, max: LAYERS.max }, 0);
  const step = keys.int('interleave_moe_layer_step', LAYERS, 1);
  const hasTensor = (layer: number, name: string): boolean => keys.model.tensors.has(`blk.${layer}.${name}`);
  return experts.map((count, layer): DenseSpec | MoeSpec => {
    const denseWidth = denseWidths[layer] ?? 0;
    if (count === 0 || layer < firstMoe || (layer + 1) % step !== 0) {
      const bias = ['ffn_gate', 'ffn_up', 'ffn_down'].some((name) => hasTensor(layer, `${name}.bias`));
      return { kind: 'dense', width: denseWidth, activation, bias, fused };
    }
    if (topK > count) keys.refuse('expert_used_count', `is ${topK}, but layer ${layer} has ${count} experts`, topK);
    const width = keys.int('expert_feed_forward_length', WIDTH, denseWidth);
    const bias = hasTensor(layer, 'ffn_down_exps.bias');
    const router = {
      ...routerSpec(keys, traits),
      logitBias: hasTensor(layer, 'ffn_gate_inp.bias'),
      selectionBias: hasTensor(layer, 'exp_probs_b.bias'),
      perExpertScale: hasTensor(layer, 'ffn_down_exps.scale'),
    };
    return { kind: 'moe', experts: count, topK, width, activation, bias, router, shared: sharedSpec(keys, layer, width) };
  });
}

/** A shared expert where its tensors are there. Files tell its width, or of how many experts' width it is. */
function sharedSpec(keys: ModelKeys, layer: number, width: number): SharedExpertSpec {
  const { tensors } = keys.model;
  if (!tensors.has(`blk.${layer}.ffn_up_shexp.weight`)) return { kind: 'none' };
  const count = keys.int('expert_shared_count', { min: 0, max: EXPERTS.max }, 1) || 1;
  return {
    kind: 'shared',
    width: keys.int('expert_shared_feed_forward_length', WIDTH, count * width),
    gated: tensors.has(`blk.${layer}.ffn_gate_inp_shexp.weight`),
  };
}

/** What `expert_gating_func` stands for, from 1 on; 0 is unset. */
const GATING_FUNCTIONS: readonly Pick<RouterSpec, 'score' | 'softmaxAfterTopK'>[] = [
  { score: 'softmax', softmaxAfterTopK: false },
  { score: 'sigmoid', softmaxAfterTopK: false },
  { score: 'none', softmaxAfterTopK: true },
  { score: 'sqrt-softplus', softmaxAfterTopK: false },
];

/** Scores of all experts; the chosen ones' weights renormalised or not, then scaled. Biases are a matter of the layer. */
function routerSpec(keys: ModelKeys, traits: DecoderTraits): RouterSpec {
  const gating = keys.int('expert_gating_func', { min: 0, max: GATING_FUNCTIONS.length }, 0);
  const score = { score: 'softmax', softmaxAfterTopK: false, ...traits.router, ...GATING_FUNCTIONS[gating - 1] } as const;
  const count = keys.int('expert_group_count', { min: 0, max: EXPERTS.max }, 1);
  const keep = keys.int('expert_group_used_count', { min: 0, max: EXPERTS.max }, count);
  return {
    logitBias: false,
    selectionBias: false,
    sparseMixer: false,
    // DeepSeek-V2 (softmax) ranks groups by their best expert, V3 (sigmoid) by their two best.
    groups: count > 1 ? { count, keep, by: score.score === 'sigmoid' ? 'top2-sum' : 'max' } : null,
    renormalise: keys.bool('expert_weights_norm', traits.renormalise) ? { eps: score.score === 'sigmoid' ? 1e-20 : 0 } : null,
    scale: keys.float('expert_weights_scale', { min: 0, max: FACTOR.max }, 1) || 1,
    perExpertScale: false,
    ownNorm: false,
    weightOn: 'output',
    ...score,
  };
}

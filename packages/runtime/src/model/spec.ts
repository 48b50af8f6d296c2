/**
 * What a model is, as one set of axes instead of one code path a family. A family file (`families/`) maps GGUF
 * metadata to this; the engine reads nothing else. Tensors are found by their GGUF names (`blk.3.ffn_gate_exps.weight`).
 */
export interface ModelSpec {
  /** GGUF `general.architecture`. */
  readonly arch: string;
  /** GGUF `general.name`, or the architecture where there is none. */
  readonly name: string;
  readonly vocabSize: number;
  /** Width of the residual stream, d. */
  readonly hiddenSize: number;
  /** Positions that the model was trained for. */
  readonly contextLength: number;
  readonly embedding: EmbeddingSpec;
  readonly layers: readonly LayerSpec[];
  readonly finalNorm: NormSpec;
  readonly output: OutputSpec;
}

export interface EmbeddingSpec {
  /** Factor on the looked-up row (granite, gemma); 1 for most. */
  readonly scale: number;
  /** Learned position embeddings (`position_embd.weight`) are added. */
  readonly learnedPositions: boolean;
}

export interface OutputSpec {
  /** The output matrix: `output.weight`, or `token_embd.weight` where tied. */
  readonly tensor: 'output.weight' | 'token_embd.weight';
  /** `output.bias` is added. */
  readonly bias: boolean;
  /** Factor on the logits; 1 for most. */
  readonly scale: number;
  /** `c · tanh(logit / c)`; 0 = off. */
  readonly softcap: number;
}

export interface NormSpec {
  /** Its weight's GGUF name without `blk.N.` and `.weight`: the same norm has several. */
  readonly tensor: string;
  /** RMSNorm, or LayerNorm with a bias (`.bias` beside `.weight`). */
  readonly kind: 'rms' | 'layer';
  readonly eps: number;
}

export interface LayerSpec {
  readonly index: number;
  readonly attentionNorm: NormSpec;
  readonly attention: MixerSpec;
  readonly ffnNorm: NormSpec;
  readonly ffn: DenseSpec | MoeSpec;
  /** Norm on the attention's (resp. the FFN's) output before it joins the residual stream. */
  readonly postAttentionNorm?: NormSpec;
  readonly postFfnNorm?: NormSpec;
  /** Factor on each sub-layer's output before it joins the residual stream; 1 for most. */
  readonly residualScale: number;
  /** `layer_output_scale.weight` multiplies the residual stream after the layer. Needs `postFfnNorm`. */
  readonly outputScale: boolean;
}

/** How tokens of a sequence exchange what they know: attention, or what some layers have in its place. */
export type MixerSpec = AttentionSpec | MlaSpec | ShortConvSpec | DeltaNetSpec;

/** Multi-head attention with grouped key/value heads. */
export interface AttentionSpec {
  readonly kind: 'gqa';
  readonly heads: number;
  readonly kvHeads: number;
  /** Size of a query or key head. */
  readonly headDim: number;
  /** Size of a value head. */
  readonly valueDim: number;
  /** Norm on queries and keys: over each head, over the full width of all heads, or over each head without weights (`unit`). */
  readonly qkNorm: 'none' | 'per-head' | 'full' | 'unit';
  readonly qkNormEps: number;
  /** The norm comes after RoPE instead of before. */
  readonly qkNormLast: boolean;
  /** Norm on value heads, without weights and with the same epsilon. */
  readonly valueNorm: boolean;
  /** No `attn_v`: values are the keys, before norm and RoPE. */
  readonly valuesAreKeys: boolean;
  /** Q, K and V lie one above the other in `attn_qkv`. */
  readonly fusedQkv: boolean;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  /** `attn_q` has a gate after each query head, whose sigmoid multiplies the head's output (qwen3next). */
  readonly outputGate: boolean;
  /** Factor on q·k; usually 1/sqrt(headDim). */
  readonly scale: number;
  /** Positions that a token sees, itself included; 0 = all. */
  readonly slidingWindow: number;
  /** The window does not slide: a token sees what lies since the last multiple of it. */
  readonly chunked: boolean;
  /** Learned per-head sink logits (`attn_sinks.weight`). */
  readonly sinks: boolean;
  readonly softcap: number;
  readonly rope: RopeSpec | null;
  /** Queries are multiplied by 1 + scale · ln(1 + ⌊(position + 1) / length⌋). */
  readonly temperature: { readonly scale: number; readonly length: number } | null;
}

/**
 * Multi-head latent attention (arXiv 2405.04434). Of a token the cache holds a latent vector, from which each head makes
 * its key and value, and one rotated key part that all heads share.
 */
export interface MlaSpec {
  readonly kind: 'mla';
  readonly heads: number;
  /** Size of the queries' latent vector; 0 = queries come straight from the residual stream (V2-Lite). */
  readonly queryRank: number;
  /** Size of the latent vector of keys and values. */
  readonly latentDim: number;
  /** Size of a query's or key's part without and with rotation. */
  readonly plainDim: number;
  readonly ropeDim: number;
  /** Size of a value head. */
  readonly valueDim: number;
  /** Up-projections: `attn_k_b` (transposed) and `attn_v_b`, or both in `attn_kv_b`, as older files have them. */
  readonly upProjection: 'k-b-v-b' | 'kv-b';
  /** Of the norms on both latent vectors. */
  readonly normEps: number;
  readonly scale: number;
  readonly rope: RopeSpec;
}

/** Gated short convolution (LFM2): out(c * conv(b * x)) with b, c, x from one projection; depthwise and causal. */
export interface ShortConvSpec {
  readonly kind: 'short-conv';
  /** Positions that a token sees, itself included. */
  readonly kernel: number;
}

/**
 * Gated DeltaNet (arXiv 2412.06464): a recurrent matrix for each value head, after a short convolution over queries,
 * keys and values; its output is normed and gated.
 */
export interface DeltaNetSpec {
  readonly kind: 'delta-net';
  readonly keyHeads: number;
  /** A multiple of `keyHeads`. */
  readonly valueHeads: number;
  /** Size of a query or key head, and of a value head. */
  readonly keyDim: number;
  readonly valueDim: number;
  /** Positions that the convolution sees, the token's own included. */
  readonly kernel: number;
  /** Value head v uses key head v / (valueHeads / keyHeads) where grouped, v % keyHeads where tiled. */
  readonly valueOrder: 'grouped' | 'tiled';
  /** Of the norm on each head's output. */
  readonly normEps: number;
}

export interface RopeSpec {
  /** `norm`: rotates neighbours (2i, 2i+1); `neox`: rotates halves (i, i + dims/2). */
  readonly kind: 'norm' | 'neox';
  /** Rotated dimensions of each head, from its start. */
  readonly dims: number;
  readonly base: number;
  /** Position scale: 1, or 1/factor for linear scaling; 1 with YaRN, whose factor is in `yarn`. */
  readonly frequencyScale: number;
  readonly yarn: YarnSpec | null;
  /** `rope_freqs.weight` divides the frequencies (Llama 3, proportional RoPE). */
  readonly frequencyFactors: boolean;
  /**
   * LongRoPE: it is not `rope_freqs.weight` that divides, but `rope_factors_short.weight` in sessions of up to
   * `originalContext` positions and `rope_factors_long.weight` in longer ones.
   */
  readonly long?: { readonly originalContext: number };
}

/** YaRN (arXiv 2309.00071) with llama.cpp's parameter names. `attnFactor` comes on top of YaRN's own 1 + 0.1·ln(factor) on cos and sin. */
export interface YarnSpec {
  readonly factor: number;
  readonly originalContext: number;
  readonly extFactor: number;
  readonly attnFactor: number;
  readonly betaFast: number;
  readonly betaSlow: number;
}

export type Activation = 'swiglu' | 'swiglu-clamped' | 'geglu' | 'gelu';

/** Whether an FFN of this activation has a gate matrix beside up and down. */
export function isGated(activation: Activation): boolean {
  return activation !== 'gelu';
}

export interface DenseSpec {
  readonly kind: 'dense';
  readonly width: number;
  readonly activation: Activation;
  readonly bias: boolean;
  /** Gate lies above up in `ffn_up`. */
  readonly fused: boolean;
}

export interface MoeSpec {
  readonly kind: 'moe';
  /** Experts in this layer; layers may differ (PR-MoE's pyramid). */
  readonly experts: number;
  /** Experts that a token uses, k. */
  readonly topK: number;
  /** Width of one expert. */
  readonly width: number;
  readonly activation: Activation;
  readonly bias: boolean;
  readonly router: RouterSpec;
  readonly shared: SharedExpertSpec;
}

export interface RouterSpec {
  readonly score: 'softmax' | 'sigmoid' | 'sqrt-softplus' | 'none';
  /** Softmax over the chosen k logits only, after the choice. */
  readonly softmaxAfterTopK: boolean;
  readonly logitBias: boolean;
  /** `exp_probs_b.bias` is added for the choice, not for the weight. */
  readonly selectionBias: boolean;
  /** Group-limited choice: experts lie in `count` groups of which `keep` are kept, by their best or their two best scores. */
  readonly groups: { readonly count: number; readonly keep: number; readonly by: 'max' | 'top2-sum' } | null;
  /** Weights are SparseMixer's (arXiv 2409.12136): a share of the experts close to the chosen one, instead of what else is said here. */
  readonly sparseMixer: boolean;
  /** Weights divided by their sum (+ eps), or left as they are. */
  readonly renormalise: { readonly eps: number } | null;
  readonly scale: number;
  readonly perExpertScale: boolean;
  /** The router reads the residual stream by a norm of its own, with `ffn_gate_inp.scale` / √d as weight, instead of the FFN's. */
  readonly ownNorm: boolean;
  /** Where the combine weight multiplies: the expert's output, or its input (llama4). */
  readonly weightOn: 'output' | 'input';
}

/** What runs beside the routed experts for every token. */
export type SharedExpertSpec =
  | { readonly kind: 'none' }
  /** A shared expert of this width; `gated`: times sigmoid of a learned scalar (qwen2moe). */
  | { readonly kind: 'shared'; readonly width: number; readonly gated: boolean }
  /** A dense MLP with norms of its own before and after, as the experts then have (gemma4). */
  | { readonly kind: 'parallel'; readonly width: number; readonly norms: ParallelNorms }
  /** Residual MoE (DeepSpeed-MoE): dense MLP and expert mixed by a learned 2-way softmax. */
  | { readonly kind: 'residual'; readonly width: number };

/** Norms where a dense MLP runs beside the experts; the MLP's own input norm is the layer's `ffnNorm`. */
export interface ParallelNorms {
  readonly expertsIn: NormSpec;
  readonly expertsOut: NormSpec;
  readonly mlpOut: NormSpec;
}

import { BLOCK_TYPES, type BlockType } from './blocks.ts';
import type { Shape } from './shapes.ts';

/** Whole-file quantisations: which tensor gets which type, after llama.cpp's. */
export const FILE_TYPES = ['q4_0', 'q4_k', 'q8_0', 'mxfp4'] as const;
export type FileType = (typeof FILE_TYPES)[number];

/** A tensor of the file and the distribution that its values are drawn from. */
export interface SynthTensor {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Undefined: F32. */
  readonly type: BlockType | undefined;
  readonly mean: number;
  readonly deviation: number;
}

/**
 * All tensors of a model, in file order. Deviations are 1 / √inputs, so that products of normed activations stay around
 * 1, router logits included: then the k best of the experts differ from token to token.
 */
export function tensors(shape: Shape, fileType: FileType): readonly SynthTensor[] {
  const { arch, layers, hidden, heads, kvHeads, headDim, experts, expertWidth, vocab } = shape;
  const list: SynthTensor[] = [];
  const add = (name: string, size: readonly number[], deviation: number, mean: number, type?: BlockType) => list.push({ name, shape: size, type, mean, deviation });
  const norm = (name: string, width: number) => add(name, [width], 0.1, 1);
  const bias = (name: string, ...size: readonly number[]) => add(name, size, 0.1, 0);
  const matrix = (name: string, layer: number, rows: number, columns: number, stacked: readonly number[] = [], deviation = 1 / Math.sqrt(columns)) =>
    add(name, [...stacked, rows, columns], deviation, 0, tensorType(fileType, name, layer, layers, columns));

  matrix('token_embd.weight', 0, vocab, hidden, [], 1);
  norm('output_norm.weight', hidden);
  matrix('output.weight', 0, vocab, hidden);
  const query = heads * headDim;
  const key = kvHeads * headDim;
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}.`;
    const gptOss = arch === 'gpt-oss';
    norm(`${block}attn_norm.weight`, hidden);
    matrix(`${block}attn_q.weight`, layer, query, hidden);
    matrix(`${block}attn_k.weight`, layer, key, hidden);
    matrix(`${block}attn_v.weight`, layer, key, hidden);
    matrix(`${block}attn_output.weight`, layer, hidden, query);
    if (gptOss) {
      for (const [name, width] of [['q', query], ['k', key], ['v', key], ['output', hidden]] as const) bias(`${block}attn_${name}.bias`, width);
      bias(`${block}attn_sinks.weight`, heads);
    } else {
      // OLMoE norms all heads at once, Qwen3 each on its own.
      norm(`${block}attn_q_norm.weight`, arch === 'olmoe' ? query : headDim);
      norm(`${block}attn_k_norm.weight`, arch === 'olmoe' ? key : headDim);
    }
    norm(`${block}${gptOss ? 'post_attention_norm' : 'ffn_norm'}.weight`, hidden);
    add(`${block}ffn_gate_inp.weight`, [experts, hidden], 1 / Math.sqrt(hidden), 0);
    if (gptOss) bias(`${block}ffn_gate_inp.bias`, experts);
    for (const name of ['gate', 'up', 'down']) {
      const [rows, columns] = name === 'down' ? [hidden, expertWidth] : [expertWidth, hidden];
      matrix(`${block}ffn_${name}_exps.weight`, layer, rows, columns, [experts]);
      if (gptOss) bias(`${block}ffn_${name}_exps.bias`, experts, rows);
    }
  }
  return list;
}

/**
 * llama.cpp's choice of types, in short: `q4_0` and `q4_k` keep the output matrix in Q6_K; `q4_k` (its Q4_K_M) also the
 * value and down matrices of the first and last eighth of the layers and of every third between; `mxfp4` is for
 * experts, with Q8_0 elsewhere. Where rows are no whole blocks of 256, Q8_0 takes the place of a K type.
 */
function tensorType(fileType: FileType, name: string, layer: number, layers: number, columns: number): BlockType {
  const wanted = ((): BlockType => {
    if (fileType === 'q8_0') return BLOCK_TYPES.Q8_0;
    if (fileType === 'mxfp4') return name.includes('_exps') ? BLOCK_TYPES.MXFP4 : BLOCK_TYPES.Q8_0;
    if (name === 'output.weight') return BLOCK_TYPES.Q6_K;
    if (fileType === 'q4_0') return BLOCK_TYPES.Q4_0;
    const moreBits = layer < Math.floor(layers / 8) || layer >= Math.floor((7 * layers) / 8) || (layer - Math.floor(layers / 8)) % 3 === 2;
    return moreBits && /attn_v|ffn_down/.test(name) ? BLOCK_TYPES.Q6_K : BLOCK_TYPES.Q4_K;
  })();
  return columns % wanted.blockSize === 0 ? wanted : BLOCK_TYPES.Q8_0;
}

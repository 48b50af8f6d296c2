import type { GgufModel } from '../../../runtime/src/model/gguf/types.ts';
import type { AttentionSpec, ModelSpec } from '../../../runtime/src/model/spec.ts';

/** What a stage cannot do without, in all layers together. */
export interface Cost {
  readonly bytes: number;
  readonly flops: number;
}

/** Least work of each stage of a pass, by the stage names of the engine's plan. @param context positions that the last token sees @param cacheBytes of an element of keys and values @param sessions that the tokens are of, each at `context` */
export function stageCosts(spec: ModelSpec, gguf: GgufModel, tokens: number, context: number, cacheBytes: number, sessions = 1): ReadonlyMap<string, Cost> {
  const costs = new Map<string, Cost>();
  const add = (stage: string, bytes: number, flops: number) => {
    const known = costs.get(stage) ?? { bytes: 0, flops: 0 };
    costs.set(stage, { bytes: known.bytes + bytes, flops: known.flops + flops });
  };
  const matrices = (names: readonly string[], rows = tokens, share = 1): [bytes: number, flops: number] => {
    let bytes = 0;
    let weights = 0;
    for (const name of names) {
      const info = gguf.tensors.get(name);
      bytes += (info?.byteLength ?? 0) * share;
      weights += (info?.shape ?? [0]).reduce((product, size) => product * size, 1);
    }
    return [bytes, 2 * weights * rows];
  };
  for (const { index, attention, ffn } of spec.layers) {
    const block = (names: readonly string[]) => names.map((name) => `blk.${index}.${name}.weight`);
    add('qkv', ...matrices(block(['attn_q', 'attn_k', 'attn_v'])));
    add('attention_out', ...matrices(block(['attn_output'])));
    if (attention.kind === 'gqa') add('attention', ...attentionCost(attention, tokens, context, cacheBytes, sessions));
    if (ffn.kind === 'moe') {
      add('router_logits', ...matrices(block(['ffn_gate_inp'])));
      // Of the stacked experts, those that are chosen: of a sequence at most k a token, of sessions as many as choices by chance are of.
      const share = ffn.topK / ffn.experts;
      const touched = sessions > 1 ? 1 - (1 - share) ** tokens : Math.min(1, share * tokens);
      const rows = (ffn.topK * tokens) / ffn.experts;
      add('expert_gate_up', ...matrices(block(['ffn_gate_exps', 'ffn_up_exps']), rows, touched));
      add('expert_down', ...matrices(block(['ffn_down_exps']), rows, touched));
      if (ffn.shared.kind === 'residual') {
        add('residual_mix', ...matrices(block(['ffn_coefficient'])));
        add('shared_gate_up', ...matrices(block(['ffn_gate', 'ffn_up'])));
        add('shared_down', ...matrices(block(['ffn_down'])));
      } else if (ffn.shared.kind === 'shared') {
        add('shared_gate_up', ...matrices(block(['ffn_gate_shexp', 'ffn_up_shexp'])));
        add('shared_down', ...matrices(block(['ffn_down_shexp'])));
      }
    } else {
      add('expert_gate_up', ...matrices(block(['ffn_gate', 'ffn_up'])));
      add('expert_down', ...matrices(block(['ffn_down'])));
    }
  }
  add('logits', ...matrices([spec.output.tensor], sessions));
  return costs;
}

function attentionCost({ heads, kvHeads, headDim, valueDim, slidingWindow }: AttentionSpec, tokens: number, context: number, cacheBytes: number, sessions: number): [bytes: number, flops: number] {
  const seen = (position: number) => (slidingWindow > 0 ? Math.min(slidingWindow, position) : position);
  const bytes = sessions * seen(context) * kvHeads * (headDim + valueDim) * cacheBytes;
  // Each token of a sequence sees itself and what is before it.
  const pairs = Array.from({ length: tokens }, (_, i) => seen(sessions > 1 ? context : context - i)).reduce((sum, positions) => sum + positions, 0);
  return [bytes, 2 * pairs * heads * (headDim + valueDim)];
}

import type { AttentionShape } from '../../src/attention-shape.ts';

export interface AttentionCase extends AttentionShape {
  readonly scale: number;
  readonly window: number;
  readonly chunked?: boolean;
  readonly softcap: number;
  readonly sinks?: ArrayLike<number>;
}

/**
 * Attention in f64 of tokens at `start` and after over all positions of the cache up to their own, straight from the
 * definition: scores, softmax, weighted sum. Gives [tokens, heads, valueDim].
 */
export function attentionReference(
  q: ArrayLike<number>,
  keys: ArrayLike<number>,
  values: ArrayLike<number>,
  start: number,
  tokens: number,
  { heads, kvHeads, headDim, valueDim, scale, window, chunked = false, softcap, sinks }: AttentionCase,
): Float64Array {
  const out = new Float64Array(tokens * heads * valueDim);
  for (let token = 0; token < tokens; token++) {
    const position = start + token;
    const oldest = window === 0 ? 0 : chunked ? Math.floor(position / window) * window : Math.max(0, position - window + 1);
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const scores: number[] = [];
      for (let p = oldest; p <= position; p++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += at(q, (token * heads + head) * headDim + i) * at(keys, (p * kvHeads + kvHead) * headDim + i);
        scores.push(softcap > 0 ? softcap * Math.tanh((dot * scale) / softcap) : dot * scale);
      }
      const sink = sinks ? at(sinks, head) : -Infinity;
      const largest = scores.reduce((a, b) => Math.max(a, b), sink);
      const powers = scores.map((score) => Math.exp(score - largest));
      const sum = powers.reduce((a, b) => a + b, Math.exp(sink - largest));
      for (const [n, power] of powers.entries()) {
        for (let i = 0; i < valueDim; i++) {
          const to = (token * heads + head) * valueDim + i;
          out[to] = at(out, to) + (power / sum) * at(values, ((oldest + n) * kvHeads + kvHead) * valueDim + i);
        }
      }
    }
  }
  return out;
}

function at(values: ArrayLike<number>, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no value ${index} of ${values.length}`);
  return value;
}

import type { RopeTableArgs } from '../../src/rope-table.ts';

/** A head after RoPE, by complex rotation of each pair, in f64. */
export function rotateReference(head: ArrayLike<number>, kind: 'norm' | 'neox', dims: number, angleOf: (pair: number) => number, magnitude = 1): Float64Array {
  const out = Float64Array.from(head);
  for (let pair = 0; pair < dims / 2; pair++) {
    const [a, b] = kind === 'norm' ? [2 * pair, 2 * pair + 1] : [pair, pair + dims / 2];
    const radius = Math.hypot(head[a] ?? NaN, head[b] ?? NaN) * magnitude;
    const angle = Math.atan2(head[b] ?? NaN, head[a] ?? NaN) + angleOf(pair);
    out[a] = radius * Math.cos(angle);
    out[b] = radius * Math.sin(angle);
  }
  return out;
}

/**
 * Hugging Face's way to YaRN's inverse frequencies and attention factor (`truncate` on), an independent road to the
 * same table: interpolated and extrapolated frequencies, blended by a linear ramp over pairs.
 */
export function yarnReference({ dims, base, yarn }: Pick<RopeTableArgs, 'dims' | 'base' | 'yarn'>): { frequencies: Float64Array; factor: number } {
  if (!yarn) throw new Error('no YaRN');
  const correction = (rotations: number): number => (dims * Math.log(yarn.originalContext / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(Math.floor(correction(yarn.betaFast)), 0);
  let high = Math.min(Math.ceil(correction(yarn.betaSlow)), dims - 1);
  if (high === low) high += 0.001;
  const frequencies = Float64Array.from({ length: dims / 2 }, (_, i) => {
    const extrapolation = 1 / base ** ((2 * i) / dims);
    const interpolation = 1 / (yarn.factor * base ** ((2 * i) / dims));
    const keep = 1 - Math.min(Math.max((i - low) / (high - low), 0), 1);
    return interpolation * (1 - keep) + extrapolation * keep;
  });
  return { frequencies, factor: 0.1 * Math.log(yarn.factor) + 1 };
}

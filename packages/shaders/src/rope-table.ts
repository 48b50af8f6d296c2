/** YaRN (arXiv 2309.00071) with llama.cpp's parameter names. */
export interface YarnParameters {
  /** Context is stretched by this. */
  readonly factor: number;
  /** Positions that the model was trained for before. */
  readonly originalContext: number;
  /** How much of the extrapolation is mixed in: 1, or 0 for plain interpolation without a factor on cos and sin. */
  readonly extFactor: number;
  /** Factor on cos and sin, on top of YaRN's own 1 + 0.1 ln(factor). */
  readonly attnFactor: number;
  /** Pairs that turn more often than this within the original context are left as they are … */
  readonly betaFast: number;
  /** … and those that turn less often than this are interpolated. */
  readonly betaSlow: number;
}

export interface RopeTableArgs {
  /** Rotated dimensions of a head, even. */
  readonly dims: number;
  readonly base: number;
  /** Factor on positions: 1, or 1/factor for linear scaling. */
  readonly frequencyScale: number;
  readonly yarn: YarnParameters | null;
  /** Positions of the table. */
  readonly contextLength: number;
  /** [dims / 2]: each pair's frequency is divided by its factor (`rope_freqs.weight`). */
  readonly frequencyFactors?: ArrayLike<number>;
}

/**
 * (cos, sin) of every position's angle for every rotated pair, [contextLength, dims / 2, 2] f32, computed in f64.
 * Throws `RangeError` for odd dims or another number of factors than of pairs.
 */
export function ropeTable(args: RopeTableArgs): Float32Array<ArrayBuffer> {
  const { dims, contextLength } = args;
  const pairs = dims / 2;
  if (!Number.isInteger(pairs) || pairs < 1) throw new RangeError(`RoPE over ${dims} dimensions; must be an even number above 0`);
  const { frequencies, magnitude } = ropeFrequencies(args);
  const table = new Float32Array(contextLength * dims);
  for (let pair = 0; pair < pairs; pair++) {
    const frequency = frequencies[pair] ?? NaN;
    for (let position = 0; position < contextLength; position++) {
      const at = position * dims + 2 * pair;
      table[at] = Math.cos(position * frequency) * magnitude;
      table[at + 1] = Math.sin(position * frequency) * magnitude;
    }
  }
  return table;
}

/** Radians a position of each pair, and the factor on cos and sin. */
function ropeFrequencies({ dims, base, frequencyScale, yarn, frequencyFactors }: RopeTableArgs): { frequencies: Float64Array; magnitude: number } {
  const pairs = dims / 2;
  if (frequencyFactors && frequencyFactors.length !== pairs) {
    throw new RangeError(`${frequencyFactors.length} frequency factors for ${pairs} rotated pairs`);
  }
  const trained = Float64Array.from({ length: pairs }, (_, pair) => base ** (-pair / pairs) / (frequencyFactors?.[pair] ?? 1));
  if (!yarn) return { frequencies: trained.map((frequency) => frequency * frequencyScale), magnitude: 1 };
  const { factor, extFactor, attnFactor } = yarn;
  const interpolation = frequencyScale / factor;
  const [low, high] = yarnRamp(dims, base, yarn);
  const frequencies = trained.map((frequency, pair) => {
    const kept = extFactor * (1 - Math.min(1, Math.max(0, (pair - low) / Math.max(0.001, high - low))));
    return frequency * (interpolation * (1 - kept) + kept);
  });
  return { frequencies, magnitude: attnFactor * (extFactor === 0 ? 1 : 1 + 0.1 * Math.log(1 / interpolation)) };
}

/** Pairs between which YaRN goes from the trained frequency to the interpolated one; whole numbers, as in llama.cpp. */
function yarnRamp(dims: number, base: number, { originalContext, betaFast, betaSlow }: YarnParameters): readonly [number, number] {
  // The pair, fractional, that turns this often within the original context.
  const pairTurning = (turns: number): number => (dims * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  return [Math.max(0, Math.floor(pairTurning(betaFast))), Math.min(dims - 1, Math.ceil(pairTurning(betaSlow)))];
}

/** Sampling settings as the uniform has them. */
export interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly penaltyWindow: number;
  readonly seed: number;
}

/** Settings that change nothing: the softmax itself. */
export const PLAIN: Settings = { temperature: 1, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, penaltyWindow: 64, seed: 1 };

/** The settings' uniform. */
export function settingsUniform({ temperature, topK, topP, minP, repeatPenalty, penaltyWindow, seed }: Settings): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(8);
  const floats = new Float32Array(words.buffer);
  floats.set([temperature], 0);
  words.set([topK], 1);
  floats.set([topP, minP, repeatPenalty], 2);
  words.set([penaltyWindow, seed], 5);
  return words;
}

/** Infinite logits and NaNs as the numbers that they count as. */
export function finiteLogits(logits: ArrayLike<number>): Float64Array {
  return Float64Array.from(logits, (logit) => (Number.isNaN(logit) ? -1e36 : Math.max(-1e36, Math.min(1e36, logit))));
}

/** log softmax(logits)[id] in f64. */
export function logProbability(logits: ArrayLike<number>, id: number): number {
  const finite = finiteLogits(logits);
  const highest = finite.reduce((a, b) => Math.max(a, b));
  return (finite[id] ?? NaN) - highest - Math.log(finite.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
}

/** Logits after the repeat penalty, for the token that follows `length` others. */
export function penalise(logits: ArrayLike<number>, seen: ArrayLike<number>, length: number, { repeatPenalty, penaltyWindow }: Settings): Float64Array {
  return finiteLogits(logits).map((logit, id) => {
    const position = (seen[id] ?? 0) - 1;
    if (position < 0 || position >= length || position < length - penaltyWindow) return logit;
    return Math.fround(logit > 0 ? logit / Math.fround(repeatPenalty) : logit * Math.fround(repeatPenalty));
  });
}

/** Ids that top-k, top-p and min-p keep, best first. By sorting, a direct statement of the definition. */
export function keptIds(logits: Float64Array, { topK, topP, minP }: Pick<Settings, 'topK' | 'topP' | 'minP'>): number[] {
  const logit = (id: number): number => logits[id] ?? NaN;
  let ids = Array.from(logits, (_, id) => id).sort((a, b) => logit(b) - logit(a) || a - b);
  const best = logit(ids[0] ?? -1);
  const mass = (id: number): number => Math.exp(logit(id) - best);
  if (topK > 0) ids = ids.slice(0, topK);
  if (topP < 1) {
    const total = ids.reduce((sum, id) => sum + mass(id), 0);
    let sum = 0;
    const last = ids.findIndex((id) => (sum += mass(id)) >= topP * total);
    if (last >= 0) ids = ids.slice(0, last + 1);
  }
  return ids.filter((id) => mass(id) >= minP);
}

/** Every token's -log(time) in the race of one position; see sampling/race.wesl for the hash. */
export function raceScore(logit: number, id: number, position: number, { temperature, seed }: Pick<Settings, 'temperature' | 'seed'>): number {
  const key: [number, number, number] = [seed, position, id];
  let [x, y, z] = key.map((word) => (Math.imul(word, 1664525) + 1013904223) >>> 0) as [number, number, number];
  const mix = (): void => {
    x = (x + Math.imul(y, z)) >>> 0;
    y = (y + Math.imul(z, x)) >>> 0;
    z = (z + Math.imul(x, y)) >>> 0;
  };
  mix();
  [x, y, z] = [x ^ (x >>> 16), y ^ (y >>> 16), z ^ (z >>> 16)];
  mix();
  const u = Math.min(0.9999999, ((x >>> 0) + 0.5) / 2 ** 32);
  return logit / temperature - Math.log(-Math.log1p(-u));
}

/**
 * Ids that sampling may choose for the token that follows `length` others: one, but where the last bit of an f32 could
 * decide otherwise.
 */
export function chosenIds(logits: ArrayLike<number>, seen: ArrayLike<number>, length: number, settings: Settings): ReadonlySet<number> {
  const penalised = penalise(logits, seen, length, settings);
  const logit = (id: number): number => penalised[id] ?? NaN;
  if (settings.temperature === 0) return new Set(keptIds(penalised, { topK: 1, topP: 1, minP: 0 }));
  const chosen = new Set<number>();
  const score = memo((id) => raceScore(logit(id), id, length, settings));
  for (const slack of [0, -1, 1]) {
    const topP = settings.topP < 1 ? settings.topP * (1 + slack * 2e-6) : 1;
    const kept = keptIds(penalised, { topK: settings.topK, topP, minP: settings.minP * (1 + slack * 2e-6) });
    const best = kept.reduce((a, id) => Math.max(a, score(id)), -Infinity);
    for (const id of kept) if (score(id) >= best - 1e-4) chosen.add(id);
    if (settings.topP === 1 && settings.minP === 0) break;
  }
  return chosen;
}

function memo(compute: (id: number) => number): (id: number) => number {
  const known = new Map<number, number>();
  return (id) => {
    const value = known.get(id) ?? compute(id);
    known.set(id, value);
    return value;
  };
}

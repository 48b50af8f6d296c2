import type { RouterAxes } from '../../src/router.ts';

export interface Routing {
  readonly ids: number[];
  readonly weights: number[];
}

/** One token's routing in f64, by sorting: an independent statement of what `routerTopK` computes. */
export function routeReference(
  logits: readonly number[],
  topK: number,
  router: RouterAxes,
  bias?: readonly number[],
  expertScale?: readonly number[],
): Routing {
  const score = router.softmaxAfterTopK ? logits.slice() : scores(logits, router.score);
  const selection = score.map((value, e) => value + (bias?.[e] ?? 0));
  const value = (e: number): number => selection[e] ?? NaN;
  let candidates = logits.map((_, e) => e);
  if (router.groups) {
    const { count, keep, by } = router.groups;
    const members = Array.from({ length: count }, (_, g) => candidates.filter((e) => Math.floor(e / (logits.length / count)) === g));
    const strength = members.map((group) => {
      const sorted = group.map(value).sort((a, b) => b - a);
      return (sorted[0] ?? NaN) + (by === 'top2-sum' ? (sorted[1] ?? NaN) : 0);
    });
    const kept = members.map((_, g) => g).sort((a, b) => (strength[b] ?? NaN) - (strength[a] ?? NaN) || a - b).slice(0, keep);
    candidates = kept.flatMap((g) => members[g] ?? []);
  }
  const ids = candidates.sort((a, b) => value(b) - value(a) || a - b).slice(0, topK);
  let weights = ids.map((e) => score[e] ?? NaN);
  if (router.softmaxAfterTopK) weights = scores(weights, 'softmax');
  if (router.renormalise) {
    const sum = weights.reduce((a, b) => a + b, 0) + router.renormalise.eps;
    weights = weights.map((w) => w / sum);
  }
  return { ids, weights: weights.map((w, j) => w * (expertScale?.[ids[j] ?? -1] ?? 1) * router.scale) };
}

function scores(logits: readonly number[], kind: RouterAxes['score']): number[] {
  switch (kind) {
    case 'softmax': {
      const largest = Math.max(...logits);
      const powers = logits.map((logit) => Math.exp(logit - largest));
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((power) => power / sum);
    }
    case 'sigmoid':
      return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
    case 'sqrt-softplus':
      return logits.map((logit) => Math.sqrt(Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)))));
    case 'none':
      return logits.slice();
  }
}

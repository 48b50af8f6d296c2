/** The `count` likeliest ids with their log-probabilities under softmax(logits), likeliest first. */
export function topLogprobs(logits: Float32Array, count: number): readonly { readonly id: number; readonly logprob: number }[] {
  let max = -Infinity;
  for (const logit of logits) max = Math.max(max, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const logTotal = max + Math.log(sum);
  const best: { id: number; logprob: number }[] = [];
  for (const [id, logit] of logits.entries()) {
    const logprob = logit - logTotal;
    const worst = best.at(-1);
    if (best.length === count && worst && logprob <= worst.logprob) continue;
    const place = best.findIndex((other) => other.logprob < logprob);
    best.splice(place < 0 ? best.length : place, 0, { id, logprob });
    if (best.length > count) best.pop();
  }
  return best;
}

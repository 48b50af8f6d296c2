/**
 * Token ids of a prompt that means nothing: a walk over the vocabulary. Runs start with
 * different ids, so that none finds a prefix of another in its cache.
 */
export function benchPrompt(run: number, length: number, vocabSize: number): number[] {
  return Array.from({ length }, (_, i) => (run * 7919 + i * 104729 + 1) % vocabSize);
}

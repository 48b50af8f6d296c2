/** What text prompts are made of. */
export const LETTERS: readonly string[] = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'];

/**
 * A prompt that means nothing, for an engine that takes text only: single letters and digits, most of which are a token in any vocabulary,
 * in an order that is not told from chance.
 */
export function benchText(run: number, words: number): string {
  let state = run + 1;
  return Array.from({ length: words }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ` ${LETTERS[Math.floor((state / 2 ** 32) * LETTERS.length)]}`;
  }).join('');
}

/** sampling/scratch.wesl: words before the partials, and of a partial. */
const HEAD_WORDS = 4 + 3 * 256;
const PARTIAL_WORDS = 8;
/** Logits that a workgroup looks at. */
export const STRETCH = 1024;

/** Bytes of scratch that sampling from `vocab` logits takes. */
export function samplerScratchBytes(vocab: number): number {
  return 4 * (HEAD_WORDS + PARTIAL_WORDS * Math.ceil(vocab / STRETCH) + 3 * vocab);
}

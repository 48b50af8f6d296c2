import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT } from './limits.ts';
import { withLongRope } from './long-rope.ts';

/** `phimoe`: Phi 3.5 MoE. LayerNorms (their epsilon has the key of RMSNorm's), biases in attention and on the logits, LongRoPE, SparseMixer. */
export function phimoe(keys: ModelKeys): ModelSpec {
  const window = keys.int('attention.sliding_window', { min: 0, max: CONTEXT.max }, 0);
  const router = { score: 'none', sparseMixer: true } as const;
  return withLongRope(keys, decoderSpec(keys, { ropeKind: 'neox', norm: 'layer', renormalise: false, router, attention: () => ({ slidingWindow: window }) }));
}

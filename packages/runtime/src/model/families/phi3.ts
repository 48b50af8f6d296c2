import type { ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT } from './limits.ts';
import { withLongRope } from './long-rope.ts';

/** `phi3`: Phi 3 and Phi 4. Q, K and V are one tensor, gate and up another; a window on all layers in some; LongRoPE in some. */
export function phi3(keys: ModelKeys): ModelSpec {
  const window = keys.int('attention.sliding_window', { min: 0, max: CONTEXT.max }, 0);
  return withLongRope(keys, decoderSpec(keys, { ropeKind: 'neox', renormalise: true, fusedFfn: true, attention: () => ({ slidingWindow: window }) }));
}

import type { AttentionSpec, ModelSpec } from '../spec.ts';
import { decoderSpec } from './decoder.ts';
import type { ModelKeys } from './keys.ts';
import { CONTEXT, EXPERTS } from './limits.ts';

/** GGUF has no keys for these; they are those of all published models. */
const CHUNK = 8192;
const NO_ROPE_EVERY = 4;
const TEMPERATURE = { scale: 0.1, length: 8192 };
/** Maverick is the one model without a norm on queries and keys, which only its number of experts tells. */
const MAVERICK_EXPERTS = 128;

/**
 * `llama4`: a top-1 expert whose weight (a sigmoid) multiplies its input, beside a shared expert; attention within chunks
 * with a norm without weights, except on every fourth layer, which sees everything, has no RoPE and cools its queries.
 */
export function llama4(keys: ModelKeys): ModelSpec {
  const qkNorm = keys.int('expert_count', EXPERTS, 0) === MAVERICK_EXPERTS ? 'none' : 'unit';
  // A file that says 0 has RoPE and the whole context everywhere.
  const everywhere = keys.int('attention.sliding_window', { min: 0, max: CONTEXT.max }, CHUNK) === 0;
  return decoderSpec(keys, {
    ropeKind: 'norm',
    renormalise: false,
    attention(layer): Partial<AttentionSpec> {
      if (everywhere) return { qkNorm };
      return (layer + 1) % NO_ROPE_EVERY === 0 ? { rope: null, temperature: TEMPERATURE } : { qkNorm, slidingWindow: CHUNK, chunked: true };
    },
    router: { score: 'sigmoid', weightOn: 'input' },
  });
}

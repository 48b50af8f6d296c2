import type { ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { samplerScratchBytes, STRETCH } from './sampler-scratch.ts';
import { samplingSources } from './sampling-sources.ts';
import type { Step } from './step.ts';

/** Masses of so many logits fit their sums (sampling/bins.wesl). */
const MAX_VOCAB = 2 ** 19 - 1;

export interface SamplerArgs {
  readonly label: string;
  /** `greedy` takes the highest logit and reads no settings; `sample` does as they say. */
  readonly mode: 'greedy' | 'sample';
  /** [vocab] f32. Infinite and NaN ones are allowed: -Infinity masks a token, a NaN counts as -Infinity. */
  readonly logits: GPUBufferBinding;
  readonly vocab: number;
  /**
   * Uniform of 32 bytes: temperature f32, topK u32 (0: all), topP f32, minP f32, repeatPenalty f32 (above 0),
   * penaltyWindow u32, seed u32, padding.
   */
  readonly sampling: GPUBufferBinding;
  /** [vocab] u32: 1 + the last position of each token, 0 if it has none */
  readonly seen: GPUBufferBinding;
  /** Position of the first token, tokens in this pass; becomes the next pass's: the position after these, one token. */
  readonly batch: GPUBufferBinding;
  /** u32; the chosen id is written to the first, where the next embedding lookup reads it */
  readonly ids: GPUBufferBinding;
  /**
   * 16 bytes, written: id u32; status u32, 1 if a logit is NaN; log-probability f32 of the id under softmax of the
   * logits as given; position u32 that the id will have.
   */
  readonly result: GPUBufferBinding;
  /** `samplerScratchBytes(vocab)` bytes of storage. */
  readonly scratch: GPUBufferBinding;
}

/**
 * Chooses the next token and makes the session's buffers ready for it: two dispatches (`greedy`) or four (`sample`).
 *
 * `sample`, in llama.cpp's order, where "the first" go by descending logit, ties to the lowest id:
 * 1. Repeat penalty: logits of tokens seen in the last `penaltyWindow` positions are divided by it if above 0, else
 *    multiplied. Logits beyond ±1e36 count as ±1e36.
 * 2. Top-k: the first k are kept.
 * 3. Top-p (if below 1): of these, the first so many as have at least the share p of their softmax at temperature 1;
 *    one at least. Shares are sums of exp(logit - best) in units of 2^-45, compared as f32.
 * 4. Min-p: of these, those at least minP times as probable as the best.
 * 5. One of these is drawn by softmax of logit / temperature. At temperature 0 (or below 1e-35) it is the first.
 *
 * The draw depends on nothing but (seed, position) and the logits. Throws `KernelArgumentError` for a vocabulary that
 * it cannot serve.
 */
export async function sampler(context: ShaderContext, args: SamplerArgs): Promise<readonly Step[]> {
  const { label, mode, logits, vocab, sampling, seen, batch, ids, result, scratch } = args;
  if (vocab < 1 || vocab > MAX_VOCAB || !Number.isInteger(vocab)) {
    throw new KernelArgumentError(label, `a vocabulary of ${vocab}; must be a whole number from 1 to ${MAX_VOCAB}`);
  }
  const held = scratch.size ?? scratch.buffer.size - (scratch.offset ?? 0);
  if (held < samplerScratchBytes(vocab)) {
    throw new KernelArgumentError(label, `scratch of ${held} bytes; needs ${samplerScratchBytes(vocab)} (samplerScratchBytes)`);
  }
  const groups = Math.ceil(vocab / STRETCH);
  const constants = { VOCAB: vocab, GROUPS: groups };
  const wide = [groups, 1, 1] as const;
  const single = [1, 1, 1] as const;
  const out = { 2: logits, 4: batch, 5: ids, 6: result };
  const step = (stage: string, request: Pick<Parameters<ShaderContext['step']>[0], 'bindings' | 'workgroups' | 'conditions' | 'constants'>): Promise<Step> =>
    context.step({ label: `${label}.${stage}`, module: `sampling/${stage}`, sources: samplingSources, ...request });
  if (mode === 'greedy') {
    return Promise.all([
      step('best', { conditions: { GREEDY: true }, constants: { VOCAB: vocab }, bindings: { 0: scratch, 2: logits }, workgroups: wide }),
      step('greedy', { constants: { GROUPS: groups }, bindings: { 0: scratch, ...out }, workgroups: single }),
    ]);
  }
  return Promise.all([
    step('best', { constants, bindings: { 0: scratch, 1: sampling, 2: logits, 3: seen, 4: batch }, workgroups: wide }),
    step('histogram', { constants, bindings: { 0: scratch, 1: sampling }, workgroups: wide }),
    step('split', { constants, bindings: { 0: scratch, 1: sampling, 4: batch }, workgroups: wide }),
    step('draw', { constants, bindings: { 0: scratch, 1: sampling, ...out }, workgroups: single }),
  ]);
}

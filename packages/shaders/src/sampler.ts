import type { KernelRequest, ShaderContext } from './context.ts';
import { KernelArgumentError } from './errors.ts';
import { samplerScratchBytes, STRETCH } from './sampler-scratch.ts';
import { samplingSources } from './sampling-sources.ts';
import { MOST_FEW } from './gemm.ts';
import type { BatchSize, Step } from './step.ts';

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
  checkSampler(label, vocab, scratch);
  return samplingSteps(context, label, mode, vocab, { scratch, sampling, logits, seen, place: batch, chosen: { 5: ids, 6: result } });
}

/** Sessions' next tokens in one go: each has a row of the pass. */
export interface SamplerRowsArgs extends Pick<SamplerArgs, 'label' | 'mode' | 'vocab'> {
  /** [rows, stride] f32 */
  readonly logits: GPUBufferBinding;
  /** Elements from a row's logits to the next's. */
  readonly stride: number;
  /** Uniform: the 32 bytes of `SamplerArgs.sampling` of each of `MOST_FEW` rows. */
  readonly sampling: GPUBufferBinding;
  /** [rows, vocab] u32 */
  readonly seen: GPUBufferBinding;
  /** `MOST_FEW` times 16 bytes: position, 1 where a session has the row (else nothing is written), id, 0; become the next pass's */
  readonly rows: GPUBufferBinding;
  /** `MOST_FEW` times the 16 bytes of `SamplerArgs.result`, written */
  readonly results: GPUBufferBinding;
  /** `MOST_FEW` times `samplerScratchBytes(vocab)`. */
  readonly scratch: GPUBufferBinding;
}

/** `sampler` for all rows of a pass, in as many dispatches as for one token. */
export async function samplerRows(context: ShaderContext, args: SamplerRowsArgs): Promise<readonly Step[]> {
  const { label, mode, vocab, logits, stride, sampling, seen, rows, results, scratch } = args;
  checkSampler(label, vocab, scratch, MOST_FEW);
  return samplingSteps(context, label, mode, vocab, { scratch, sampling, logits, seen, place: rows, chosen: { 6: results } }, stride);
}

function checkSampler(label: string, vocab: number, scratch: GPUBufferBinding, rows = 1): void {
  if (vocab < 1 || vocab > MAX_VOCAB || !Number.isInteger(vocab)) {
    throw new KernelArgumentError(label, `a vocabulary of ${vocab}; must be a whole number from 1 to ${MAX_VOCAB}`);
  }
  const held = scratch.size ?? scratch.buffer.size - (scratch.offset ?? 0);
  const needed = rows * samplerScratchBytes(vocab);
  if (held < needed) throw new KernelArgumentError(label, `scratch of ${held} bytes; needs ${needed} (samplerScratchBytes)`);
}

interface SamplingBuffers extends Pick<SamplerArgs, 'scratch' | 'sampling' | 'logits' | 'seen'> {
  readonly place: GPUBufferBinding;
  /** What the last stage writes beside `place`. */
  readonly chosen: Readonly<Record<number, GPUBufferBinding>>;
}

/** @param stride of the rows' logits; undefined: one generation */
function samplingSteps(
  context: ShaderContext,
  label: string,
  mode: SamplerArgs['mode'],
  vocab: number,
  { scratch, sampling, logits, seen, place, chosen }: SamplingBuffers,
  stride?: number,
): Promise<readonly Step[]> {
  const groups = Math.ceil(vocab / STRETCH);
  const ROWS = stride !== undefined;
  const row = stride === undefined ? {} : { ROW_WORDS: samplerScratchBytes(vocab) / 4 };
  const logitsRow = stride === undefined ? {} : { ...row, LOGITS_STRIDE: stride };
  const constants = { VOCAB: vocab, GROUPS: groups };
  const across = (x: number) => (ROWS ? ({ tokens }: BatchSize) => [x, tokens, 1] as const : ([x, 1, 1] as const));
  const step = (stage: string, wide: boolean, request: Pick<KernelRequest, 'bindings' | 'conditions' | 'constants'>): Promise<Step> =>
    context.step({
      label: `${label}.${stage}`,
      module: `sampling/${stage}`,
      sources: samplingSources,
      ...request,
      conditions: { ...request.conditions, ROWS, PLACE_WRITE: !wide },
      workgroups: across(wide ? groups : 1),
    });
  const last = { 2: logits, 4: place, ...chosen };
  if (mode === 'greedy') {
    return Promise.all([
      step('best', true, { conditions: { GREEDY: true }, constants: { VOCAB: vocab, ...logitsRow }, bindings: { 0: scratch, 2: logits } }),
      step('greedy', false, { constants: { GROUPS: groups, ...logitsRow }, bindings: { 0: scratch, ...last } }),
    ]);
  }
  return Promise.all([
    step('best', true, { constants: { ...constants, ...logitsRow }, bindings: { 0: scratch, 1: sampling, 2: logits, 3: seen, 4: place } }),
    step('histogram', true, { constants: { ...constants, ...row }, bindings: { 0: scratch, 1: sampling } }),
    step('split', true, { constants: { ...constants, ...row }, bindings: { 0: scratch, 1: sampling, 4: place } }),
    step('draw', false, { constants: { ...constants, ...logitsRow }, bindings: { 0: scratch, 1: sampling, ...last } }),
  ]);
}

import type { BatchSize, Step } from '@gatefold/shaders';
import type { GenerateHandlers, GenerateRequest, GenerateResult, TokenEvent } from '../api/types.ts';
import { noCounts, type SessionCounts } from './counts.ts';
import { encodePass } from './encode-pass.ts';
import { DisposedError, NanLogitsError, PromptError, PromptTooLongError } from './errors.ts';
import type { ExpertRunner } from './experts/paged-experts.ts';
import type { ForwardPlan } from './forward.ts';
import { topLogprobs } from './logprobs.ts';
import { isRecurrent } from './mixers/state.ts';
import type { PlanContext } from './plan-context.ts';
import { stepsOf } from './plan.ts';
import { ReadbackRing } from './readback-ring.ts';
import { completeSampling, samplingUniform } from './sampling.ts';
import { ROUTE_BYTES } from './scratch.ts';
import { moeLayers, RESULT_BYTES, type SessionBuffers } from './session-buffers.ts';

/** Deepest run-ahead, in tokens; enough to hide the browser's polling of completions on a fast GPU. */
export const RING_DEPTH = 16;
/**
 * With recurrent state, which a pass can't take back: after a stop token exactly the pass that it was fed to has run, and
 * the next turn of a chat starts from there.
 */
const RECURRENT_DEPTH = 2;
/** Run ahead by about this much time, so that a stop is never far away on a slow adapter. */
const RUN_AHEAD_MS = 40;

/** Times that a token runs without its experts before it looks for them at every layer. */
const MOST_FAILURES = 3;

const STATUS_NAN = 1;

/** A token as the engine knows it: without text. */
export type IdEvent = Omit<TokenEvent, 'text'>;

/** The engine's side of `GenerateHandlers`. */
export interface IdHandlers extends Pick<GenerateHandlers, 'onPrefill'> {
  readonly onToken?: (event: IdEvent) => void;
}

/** A part of the prompt, and the steps that follow on it. */
interface Chunk {
  readonly start: number;
  readonly ids: readonly number[];
  readonly after: readonly Step[];
  readonly counts: SessionCounts;
  readonly signal: AbortSignal | undefined;
}

/** What a pass has chosen, read back. */
export interface Arrival {
  readonly id: number;
  readonly position: number;
  readonly logprob: number;
  readonly isNan: boolean;
  readonly experts: readonly (readonly number[])[];
  readonly logits?: Float32Array<ArrayBuffer> | undefined;
  /** Not all of its experts were there: the numbers are wrong, and the token must run again. */
  readonly failed?: boolean;
}

/**
 * One conversation: a KV cache, the ids whose keys and values it holds, and the loop that extends it. One
 * generation at a time. Ids stay on the GPU from one token to the next; the host reads them late.
 */
export class Session {
  readonly #device: GPUDevice;
  readonly #ring: ReadbackRing;
  readonly #decodeSteps: readonly Step[];
  readonly #prefillSteps: readonly Step[];
  readonly #routeWidths: readonly number[];
  readonly #recurrent: boolean;
  /** Ids that were fed, in order: those whose keys and values are in the cache, and that recurrent state has absorbed. */
  #cached: number[] = [];
  /** A pass did not run right to its end: recurrent state is of no use. */
  #torn = false;
  #disposed = false;

  constructor(
    readonly context: PlanContext,
    readonly buffers: SessionBuffers,
    readonly plan: ForwardPlan,
  ) {
    this.#device = context.memory.device;
    this.#decodeSteps = stepsOf(plan.decode);
    this.#prefillSteps = stepsOf(plan.prefill);
    this.#routeWidths = moeLayers(context.spec).map(({ ffn }) => ffn.topK);
    this.#recurrent = context.spec.layers.some(({ attention }) => isRecurrent(attention));
    this.#ring = new ReadbackRing(this.#device, RING_DEPTH, buffers.result.size + context.spec.vocabSize * 4);
  }

  /**
   * Runs the prompt (but for the prefix that the cache already holds) and generates until a stop id, `maxTokens`,
   * the end of the context or an abort. Tokens arrive through `handlers.onToken` in order.
   * Throws `PromptError`, `PromptTooLongError`, `SamplingError`, `NanLogitsError`, `DeviceLostError`.
   */
  async generate(request: GenerateRequest, handlers: IdHandlers, signal?: AbortSignal): Promise<GenerateOutcome> {
    if (this.#disposed) throw new DisposedError('session');
    const { promptIds, stopIds = [] } = request;
    this.checkPrompt(promptIds);
    const room = this.context.contextLength - promptIds.length + 1;
    const maxTokens = Math.min(request.maxTokens ?? room, room);
    const sampling = completeSampling(request.sampling);
    this.#device.queue.writeBuffer(this.buffers.sampling, 0, samplingUniform(sampling));
    const mode = sampling.temperature === 0 && sampling.repeatPenalty === 1 ? 'greedy' : 'sample';
    const sample = await this.plan.sampler(mode);
    const counts = noCounts();
    const wantLogits = (request.topLogprobs ?? 0) > 0;

    const start = performance.now();
    const reused = this.#rewind(promptIds);
    const last = await this.#prefill(promptIds, reused, handlers, counts, signal);
    if (signal?.aborted) return { ids: [], finishReason: 'aborted', reusedTokens: reused, prefillMs: performance.now() - start, decodeMs: 0, counts };
    // The prompt's last pass and the first choice are one submit: other sessions use the same scratch in between.
    const after = [...this.plan.lastLogits, ...sample];
    const lastIds = promptIds.slice(last);
    const prefilled = this.#runChunk({ start: last, ids: lastIds, after: maxTokens === 0 ? [] : after, counts, signal }, (encoder) => {
      // Decode writes the router's choices into the result by itself; a prompt's last token's are copied there.
      this.#copyPromptRoutes(encoder, lastIds.length);
      return this.#submit(encoder, wantLogits);
    });
    const tokens = promptIds.length - reused;
    const allRead = { tokens, tokensTotal: tokens };
    if (maxTokens === 0) {
      await unlessAborted(prefilled, signal);
      handlers.onPrefill?.(allRead);
      return { ids: [], finishReason: 'length', reusedTokens: reused, prefillMs: performance.now() - start, decodeMs: 0, counts };
    }
    const { paged } = this.context;
    const ids: number[] = [];
    /** What passes that ran right have chosen; also what is not given out: a stop token, and what ran ahead of it. */
    const chosen: number[] = [];
    const outstanding = [prefilled];
    let prefillMs = 0;
    let firstAt = 0;
    let submitted = 1;
    /** Of the token that is wanted. */
    let failures = 0;
    let finishReason: GenerateResult['finishReason'] = 'length';
    // Logits are read from a pass of one's own.
    const shared = wantLogits ? undefined : this.context.batch?.join(this.buffers, mode, maxTokens - 1);
    try {
      while (ids.length < maxTokens) {
        const pace = ids.length > 1 ? (performance.now() - firstAt) / (ids.length - 1) : RUN_AHEAD_MS;
        const ahead = Math.min(this.#recurrent ? RECURRENT_DEPTH : RING_DEPTH, Math.max(2, Math.ceil(RUN_AHEAD_MS / pace)));
        // Where experts may be missing, a token is not begun before the last one is wanted.
        const depth = paged && !this.#mayMiss(paged) ? 1 : ids.length === 0 ? 2 : ahead;
        while (outstanding.length < depth && submitted < maxTokens && !signal?.aborted) {
          const context = promptIds.length + submitted++;
          outstanding.push(shared?.next(context, counts) ?? this.#submitToken(after, context, wantLogits, counts, signal));
        }
        const next = outstanding.shift();
        if (!next || signal?.aborted) {
          if (next) outstanding.unshift(next);
          finishReason = signal?.aborted ? 'aborted' : 'length';
          break;
        }
        const arrival = await unlessAborted(next, signal);
        if (!arrival || arrival.isNan) await Promise.allSettled(outstanding.splice(0));
        if (!arrival) {
          finishReason = 'aborted';
          break;
        }
        if (arrival.failed) {
          await Promise.allSettled(outstanding.splice(0));
          submitted = ids.length + 1;
          const looking = !(await this.#repair(arrival, failures++, counts, signal));
          this.#restart(promptIds, ids);
          outstanding.push(this.#submitToken(after, promptIds.length + ids.length, wantLogits, counts, signal, looking));
          continue;
        }
        failures = 0;
        if (arrival.isNan) throw new NanLogitsError(arrival.position - 1);
        chosen.push(arrival.id);
        if (ids.length === 0) {
          firstAt = performance.now();
          prefillMs = firstAt - start;
          handlers.onPrefill?.(allRead);
        }
        if (signal?.aborted) {
          finishReason = 'aborted';
          break;
        }
        if (stopIds.includes(arrival.id)) {
          finishReason = 'stop';
          break;
        }
        ids.push(arrival.id);
        handlers.onToken?.(tokenEvent(arrival, request.topLogprobs ?? 0));
      }
    } finally {
      shared?.leave();
      // Tokens run ahead of a stop are dropped, but the ring gets its buffers back before the next run.
      for (const pass of await Promise.allSettled(outstanding)) {
        if (pass.status === 'rejected' || pass.value.failed || pass.value.isNan) break;
        chosen.push(pass.value.id);
      }
      // Each pass but the first was fed what the one before it chose.
      this.#torn = chosen.length < submitted;
      if (chosen.length > 0) this.#cached = [...promptIds, ...chosen.slice(0, -1)];
    }
    return { ids, finishReason, reusedTokens: reused, prefillMs, decodeMs: firstAt ? performance.now() - firstAt : 0, counts };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#ring.destroy();
    this.buffers.destroy();
  }

  /** What it knows from this position on is wrong. Recurrent state then knows nothing. */
  forget(position: number): void {
    this.#cached = this.#recurrent ? [] : this.#cached.slice(0, position);
  }

  get ringBytes(): number {
    return this.#ring.totalBytes;
  }

  /**
   * Keeps the longest common prefix of the cache and the prompt; at least one id is left to run. Recurrent state can't go
   * back to a prefix: it goes on from its end, or starts over.
   */
  #rewind(promptIds: readonly number[]): number {
    let common = 0;
    while (common < promptIds.length - 1 && common < this.#cached.length && promptIds[common] === this.#cached[common]) common++;
    if (this.#recurrent && (this.#torn || common < this.#cached.length)) common = 0;
    this.#torn = false;
    this.#cached = this.#cached.slice(0, common);
    this.#writeSeen(this.#cached);
    return common;
  }

  #writeSeen(ids: readonly number[]): void {
    const seen = new Uint32Array(this.context.spec.vocabSize);
    for (const [position, id] of ids.entries()) seen[id] = position + 1;
    this.#device.queue.writeBuffer(this.buffers.seen, 0, seen);
  }

  /** Whether a token that lacked experts may run again without looking. Where others keep taking its experts away it must look. */
  async #repair({ experts }: Arrival, failures: number, counts: SessionCounts, signal?: AbortSignal): Promise<boolean> {
    const { paged } = this.context;
    return paged !== undefined && failures < MOST_FAILURES && (await paged.repair(experts, { counts, signal }));
  }

  /** Goes back to where the last of `ids` is to be fed: later ones ran on wrong numbers. */
  #restart(promptIds: readonly number[], ids: readonly number[]): void {
    const fed = [...promptIds, ...ids];
    this.startBatch(fed.length - 1, fed.slice(-1));
    this.#writeSeen(fed);
  }

  /**
   * Runs all chunks of the prompt but the last; at most two are under way, so that an abort is never far behind.
   * Returns where the last chunk starts.
   */
  async #prefill(promptIds: readonly number[], from: number, handlers: IdHandlers, counts: SessionCounts, signal?: AbortSignal): Promise<number> {
    const { chunk } = this.context;
    const done: Promise<void>[] = [];
    let start = from;
    for (; start + chunk < promptIds.length; start += chunk) {
      if (signal?.aborted) return start;
      const ids = promptIds.slice(start, start + chunk);
      const run = this.#runChunk({ start, ids, after: [], counts, signal }, async (encoder) => this.#device.queue.submit([encoder.finish()]));
      await unlessAborted(run, signal);
      if (signal?.aborted) return start;
      done.push(this.#reportPrefill(handlers, start + chunk - from, promptIds.length - from));
      if (done.length > 1) await done.shift();
    }
    return start;
  }

  /** Resolves when the GPU is done with what is submitted; a lost device is told by what comes next. */
  #reportPrefill({ onPrefill }: IdHandlers, tokens: number, tokensTotal: number): Promise<void> {
    return this.#device.queue.onSubmittedWorkDone().then(
      () => onPrefill?.({ tokens, tokensTotal }),
      () => undefined,
    );
  }

  /** Sets the ids and the position of the next pass; ordered with submits by the queue. */
  startBatch(start: number, ids: readonly number[]): void {
    this.#device.queue.writeBuffer(this.buffers.batch, 0, Uint32Array.of(start, ids.length));
    this.#device.queue.writeBuffer(this.buffers.ids, 0, Uint32Array.from(ids));
  }

  /** Runs a part of the prompt and what follows on it, e.g. the choice of the first token; `submit` ends the encoder's work. */
  async #runChunk<T>({ start, ids, after, counts, signal }: Chunk, submit: (encoder: GPUCommandEncoder) => Promise<T>): Promise<T> {
    const size = { tokens: ids.length, context: start + ids.length };
    const { paged } = this.context;
    const run = async () => {
      this.#torn = true;
      this.startBatch(start, ids);
      const cost = noCounts();
      const encoder = paged ? await paged.run({ stages: this.plan.prefill, size, signal, counts: cost }) : this.#device.createCommandEncoder();
      counts.expertLoads += cost.expertLoads;
      counts.expertBytes += cost.expertBytes;
      encodePass(encoder, paged ? after : [...this.#prefillSteps, ...after], size);
      const submitted = submit(encoder);
      this.#cached.push(...ids);
      this.#torn = false;
      // Its turn ends here, not with what comes of it.
      return { submitted };
    };
    return (await (paged ? paged.turns.run(run) : run())).submitted;
  }

  /** Whether tokens may run without the host looking on: one that lacked an expert runs again, which recurrent state does not allow. */
  #mayMiss({ confident }: ExpertRunner): boolean {
    return confident && !this.#recurrent;
  }

  /** One token, whose id the sampler left on the GPU. @param looking for missing experts at every layer, even where none is expected */
  async #submitToken(after: readonly Step[], context: number, wantLogits: boolean, counts: SessionCounts, signal?: AbortSignal, looking = false): Promise<Arrival> {
    const size = { tokens: 1, context };
    const { paged } = this.context;
    counts.tokens++;
    const submit = () => this.#submitSteps(this.#device.createCommandEncoder(), [...this.#decodeSteps, ...after], size, wantLogits, counts);
    if (!paged) return submit();
    const watched = looking || !this.#mayMiss(paged);
    // Its turn ends with the submit.
    const { arriving, version } = await paged.turns.run(async () => {
      const submitted = watched ? this.#submitSteps(await paged.run({ stages: this.plan.decode, size, signal, counts }), after, size, wantLogits, counts) : submit();
      return { arriving: submitted, version: paged.residency.version };
    });
    const arrival = await arriving;
    return watched || paged.confirm(arrival.experts, version) ? arrival : { ...arrival, failed: true };
  }

  #submitSteps(encoder: GPUCommandEncoder, steps: readonly Step[], size: BatchSize, wantLogits: boolean, counts: SessionCounts): Promise<Arrival> {
    counts.dispatches += encodePass(encoder, steps, size);
    counts.submits++;
    counts.readbacks++;
    return this.#submit(encoder, wantLogits);
  }

  /** Ends the encoder's work with a copy of the result (and of the logits, if wanted) into the ring, and submits it. */
  #submit(encoder: GPUCommandEncoder, wantLogits: boolean): Promise<Arrival> {
    const { result } = this.buffers;
    const sources = [{ buffer: result, bytes: result.size }];
    if (wantLogits) sources.push({ buffer: this.context.scratch.logits, bytes: this.context.spec.vocabSize * 4 });
    const readback = this.#ring.record(encoder, sources);
    this.#device.queue.submit([encoder.finish()]);
    return readback.arrive().then((bytes) => this.#decode(bytes, wantLogits));
  }

  #copyPromptRoutes(encoder: GPUCommandEncoder, tokens: number): void {
    const { expertIds, expertIdsStride } = this.context.scratch;
    for (const [layer, width] of this.#routeWidths.entries()) {
      const last = layer * expertIdsStride + (tokens - 1) * width * 4;
      encoder.copyBufferToBuffer(expertIds, last, this.buffers.result, RESULT_BYTES + layer * ROUTE_BYTES, width * 4);
    }
  }

  #decode(bytes: ArrayBuffer, wantLogits: boolean): Arrival {
    const experts = this.#routeWidths.map((width, layer) => [...new Uint32Array(bytes, RESULT_BYTES + layer * ROUTE_BYTES, width)]);
    const logits = wantLogits ? new Float32Array(bytes, this.buffers.result.size, this.context.spec.vocabSize) : undefined;
    return { ...arrivalOf(new DataView(bytes), experts), logits };
  }

  /** Throws `PromptError` or `PromptTooLongError`. */
  checkPrompt(promptIds: readonly number[]): void {
    const { contextLength, spec } = this.context;
    if (promptIds.length === 0) throw new PromptError('The prompt has no tokens. Give at least one (a BOS token will do).');
    if (promptIds.length > contextLength) throw new PromptTooLongError(promptIds.length, contextLength);
    const odd = promptIds.find((id) => !Number.isInteger(id) || id < 0 || id >= spec.vocabSize);
    if (odd !== undefined) throw new PromptError(`Token id ${odd} is outside the vocabulary of ${spec.vocabSize}.`, { id: odd, vocabSize: spec.vocabSize });
  }
}

/** @param result as the sampler writes it: id, status, log-probability, position @param experts of each MoE layer */
export function arrivalOf(result: DataView, experts: Arrival['experts']): Arrival {
  const isNan = (result.getUint32(4, true) & STATUS_NAN) !== 0;
  return { id: result.getUint32(0, true), position: result.getUint32(12, true), logprob: result.getFloat32(8, true), isNan, experts };
}

/** What a run of `Session.generate` gives; the service adds rates and memory. */
export interface GenerateOutcome {
  readonly ids: readonly number[];
  readonly finishReason: GenerateResult['finishReason'];
  readonly reusedTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly counts: SessionCounts;
}

/** Undefined where the signal has aborted the work. */
async function unlessAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}

function tokenEvent({ id, position, logprob, experts, logits }: Arrival, count: number): IdEvent {
  return { id, position, experts, logprob, ...(logits ? { topLogprobs: topLogprobs(logits, count) } : {}) };
}

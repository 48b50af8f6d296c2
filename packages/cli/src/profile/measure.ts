import type { LoadOptions } from '@gatefold/runtime';
import type { BatchSize, Step } from '@gatefold/shaders';
import type { Session } from '../../../runtime/src/engine/session.ts';
import { encodePass } from '../../../runtime/src/engine/encode-pass.ts';
import { cacheType } from '../../../runtime/src/engine/plan-context.ts';
import { stepsOf } from '../../../runtime/src/engine/plan.ts';
import { isCpuAdapter } from '../../../runtime/src/worker/cpu-adapter.ts';
import type { LocalModelService } from '../../../runtime/src/worker/service.ts';
import { benchPrompt } from '../job/prompt.ts';
import { median } from '../numbers.ts';
import { dispatchCost, readRate } from './ceilings.ts';
import { BatchPasses } from './batch-passes.ts';
import { stageCosts, type Cost } from './costs.ts';
import { PassTimer } from './pass-timer.ts';
import type { PassProfile, ProfileJob, ProfileReport, StageProfile } from './types.ts';

/** Rounds of a whole token in a timed pass, at most; each moves on by a position. */
const MOST_TOKENS = 256;
const ENCODINGS = 64;

/** Loads the model, all experts resident, with the engine's inside in reach. */
type Open = (options: Required<Pick<LoadOptions, 'contextLength' | 'prefillChunk'>>) => Promise<LocalModelService>;

/**
 * Times every stage of one decoded token, of one of each of several sessions, and of one prefill chunk, on the state that a real prompt leaves.
 * @param emit is told what comes next; what it throws ends the measurement
 */
export async function measureProfile({ context, chunk, sampled, sessions }: ProfileJob, open: Open, emit: (message: string) => void): Promise<ProfileReport> {
  const service = await open({ contextLength: context + MOST_TOKENS + 2, prefillChunk: chunk });
  try {
    const { model, modelInfo } = service;
    const { device } = model.memory;
    const timer = new PassTimer(device);
    const session = await model.createSession();
    const prompt = benchPrompt(0, context, model.spec.vocabSize);
    const sampling = sampled ? { temperature: 0.8, topK: 40, topP: 0.95 } : {};
    await session.generate({ promptIds: prompt, maxTokens: 1, stopIds: [], sampling }, {});

    emit('ceilings of the adapter');
    const readBytesPerUs = await readRate(device, timer, isCpuAdapter(modelInfo.adapter) ? 16 << 20 : 1 << 30);
    const dispatchUs = await dispatchCost(device, timer);
    const floor = (dispatches: number, bytes: number) => dispatches * dispatchUs + bytes / readBytesPerUs;

    const { plan } = session;
    const rounds = Math.max(1, Math.min(MOST_TOKENS, model.contextLength - context));
    const costs = (tokens: number, of = 1) => stageCosts(model.spec, model.weights.gguf, tokens, context, cacheType(model.shaders.features) === 'f16' ? 2 : 4, of);
    const decodeSteps = [...stepsOf(plan.decode), ...plan.lastLogits, ...(await plan.sampler(sampled ? 'sample' : 'greedy'))];
    const decodeSize = { tokens: 1, context };
    const startToken = () => session.startBatch(context - 1, prompt.slice(-1));
    const decode = await profilePass(session, timer, rounds, decodeSteps, decodeSize, startToken, costs(1), floor, (stage) => emit(`decode: ${stage}`));
    const mode = sampled ? 'sample' : 'greedy';
    const passes = sessions > 1 ? await BatchPasses.open(model, sessions, prompt, sampling, mode) : undefined;
    const batch = passes && (await profilePass(session, timer, rounds, passes.steps, { tokens: sessions, context }, () => passes.start(), costs(sessions, sessions), floor, (stage) => emit(`${sessions} sessions: ${stage}`)));
    const tokens = Math.min(chunk, context);
    const startChunk = () => session.startBatch(context - tokens, prompt.slice(-tokens));
    const prefill = await profilePass(session, timer, rounds, stepsOf(plan.prefill), { tokens, context }, startChunk, costs(tokens), floor, (stage) => emit(`prefill: ${stage}`));
    startToken();
    const encodeUs = await encodeTime(session, decodeSteps, decodeSize);
    timer.destroy();
    return { adapter: modelInfo.adapter, clock: timer.clock, readBytesPerUs, dispatchUs, decode, ...(batch ? { batch } : {}), prefill, encodeUs };
  } finally {
    await service.dispose();
  }
}

async function profilePass(
  session: Session,
  timer: PassTimer,
  maxRounds: number,
  steps: readonly Step[],
  size: BatchSize,
  start: () => void,
  costs: ReadonlyMap<string, Cost>,
  floor: (dispatches: number, bytes: number) => number,
  emit: (stage: string) => void,
): Promise<PassProfile> {
  emit('all stages together');
  const wholeUs = await timer.time(steps, size, { prepare: start, maxRounds });
  const stages: StageProfile[] = [];
  for (const stage of new Set(steps.map(stageOf))) {
    emit(stage);
    const group = steps.filter((step) => stageOf(step) === stage);
    // Each stage is repeated on what a whole pass leaves it, all its layers in turn, so that weights come from memory.
    const prepare = () => {
      start();
      submit(session, steps, size);
      start();
    };
    const us = await timer.time(group, size, { prepare, maxRounds });
    const cost = costs.get(stage) ?? costs.get(stage.replace(/\.split$/, ''));
    stages.push({ stage, dispatches: group.length, us, floorUs: floor(group.length, cost?.bytes ?? 0), bytes: cost?.bytes, flops: cost?.flops });
  }
  return { ...size, dispatches: steps.length, wholeUs, stages };
}

/** `layer.3.expert_down` is `expert_down`. */
function stageOf({ label }: Step): string {
  return label.replace(/^layer\.\d+\./, '');
}

function submit(session: Session, steps: readonly Step[], size: BatchSize): void {
  const { device } = session.context.shaders;
  const encoder = device.createCommandEncoder();
  encodePass(encoder, steps, size);
  device.queue.submit([encoder.finish()]);
}

/** Median microseconds of the host to encode and submit one token. */
async function encodeTime(session: Session, steps: readonly Step[], size: BatchSize): Promise<number> {
  const { queue } = session.context.shaders.device;
  const times: number[] = [];
  for (let i = 0; i < ENCODINGS; i++) {
    const started = performance.now();
    submit(session, steps, size);
    times.push((performance.now() - started) * 1000);
    // An encoder that runs far ahead of the GPU measures the queue's limits instead.
    if (i % 8 === 7) await queue.onSubmittedWorkDone();
  }
  return median(times);
}

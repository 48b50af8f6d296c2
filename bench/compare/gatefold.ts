import type { GenerateResult, Model, Session } from '@gatefold/runtime';
import type { Emit, Environment } from '../src/job.ts';
import { benchPrompt } from '../../packages/cli/src/job/prompt.ts';
import type { GatefoldJob, SpeedReport, SpeedRun } from './types.ts';

/** Prefill and decode rates through the public API, worker and all. */
export async function measureGatefold(job: GatefoldJob, environment: Environment, emit: Emit): Promise<SpeedReport> {
  const { promptTokens, genTokens, runs: runCount, sessions: sessionCount = 1, bareKernels, precision, prefillChunk, gpuBudget, hostBudget } = job;
  const started = performance.now();
  const model = await environment.load({
    store: 'none',
    contextLength: promptTokens + genTokens,
    ...(bareKernels === undefined ? {} : { bareKernels }),
    ...(precision === undefined ? {} : { precision }),
    ...(prefillChunk === undefined ? {} : { prefillChunk }),
    ...(gpuBudget === undefined ? {} : { gpuBudget }),
    ...(hostBudget === undefined ? {} : { hostBudget }),
  });
  const loadMs = performance.now() - started;
  try {
    const sessions: Session[] = [];
    while (sessions.length < sessionCount) sessions.push(await model.createSession());
    const runs: SpeedRun[] = [];
    let last: GenerateResult | undefined;
    for (let run = 0; run <= runCount; run++) {
      const { rates, results } = await measureRun(model, sessions, job, run);
      // The first run warms caches and clocks up.
      if (run > 0) runs.push(rates);
      last = results[0];
      emit(`gatefold: run ${run} of ${runCount}`);
    }
    const { dispatchesPerToken = NaN, submitsPerToken = NaN, readbacksPerToken = NaN, expertHits = 0, expertMisses = 0, expertBytes = 0 } = last?.stats ?? {};
    const { gpuBytes, weightBytes, kvBytes } = await model.memory();
    const { fileBytes, adapter } = model.info;
    return {
      engine: 'gatefold',
      backend: 'webgpu',
      program: environment.program,
      loadMs,
      promptTokens,
      genTokens,
      sessions: sessionCount,
      runs,
      counts: { dispatchesPerToken, submitsPerToken, readbacksPerToken, expertHits, expertMisses, expertBytes, gpuBytes, weightBytes, kvBytes, fileBytes },
      adapter,
    };
  } finally {
    await model.dispose();
  }
}

async function measureRun(model: Model, sessions: readonly Session[], job: GatefoldJob, run: number): Promise<{ rates: SpeedRun; results: readonly GenerateResult[] }> {
  const { promptTokens, genTokens, sampling = {} } = job;
  const prompts = sessions.map((_, i) => benchPrompt(run * sessions.length + i, promptTokens, model.info.spec.vocabSize));
  const generate = (i: number, maxTokens: number) => drain(sessions[i], { promptIds: prompts[i] ?? [], maxTokens, sampling, stopIds: [] });
  if (sessions.length === 1) {
    const only = await generate(0, genTokens);
    const { prefillTps, decodeTps } = only.result.stats;
    return { rates: { prefillTps, decodeTps }, results: [only.result] };
  }
  // Prompts first, one by one; then all decode at once from their caches.
  const prefills = [];
  for (const i of sessions.keys()) prefills.push((await generate(i, 1)).result.stats.prefillMs);
  const all = await Promise.all(sessions.map((_, i) => generate(i, genTokens)));
  // Only while all of them run is a rate one of all.
  const from = Math.max(...all.map(({ times }) => times[0] ?? 0));
  const to = Math.min(...all.map(({ times }) => times.at(-1) ?? 0));
  const tokens = all.reduce((sum, { times }) => sum + times.filter((time) => time > from && time <= to).length, 0);
  const prefillTps = (promptTokens * sessions.length * 1000) / prefills.reduce((sum, ms) => sum + ms, 0);
  return { rates: { prefillTps, decodeTps: (tokens * 1000) / (to - from) }, results: all.map(({ result }) => result) };
}

/** Runs a generation to its end; also when each token came. */
async function drain(session: Session | undefined, request: Parameters<Session['generate']>[0]): Promise<{ result: GenerateResult; times: readonly number[] }> {
  if (!session) throw new RangeError('no such session');
  const times: number[] = [];
  const tokens = session.generate(request);
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { result: next.value, times };
    times.push(performance.now());
  }
}

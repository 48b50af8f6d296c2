import type { GenerateResult, Session } from '@gatefold/runtime';
import { requestGpu } from '../../packages/runtime/src/engine/device.ts';
import { benchPrompt } from '../../packages/cli/src/job/prompt.ts';
import type { Emit, Environment } from '../src/job.ts';
import type { OnDemandJob, OnDemandReport, ReadBackJob, ReadBackReport } from './types.ts';

/** Decode rates in a budget, and what each token lacked. The prompt runs before, so that its experts are not counted. */
export async function measureOnDemand({ promptTokens, genTokens, runs, gpuBudget, hostBudget }: OnDemandJob, environment: Environment, emit: Emit): Promise<OnDemandReport> {
  const model = await environment.load({
    store: 'none',
    contextLength: promptTokens + genTokens,
    ...(gpuBudget === undefined ? {} : { gpuBudget }),
    ...(hostBudget === undefined ? {} : { hostBudget }),
  });
  try {
    const session = await model.createSession();
    const results: GenerateResult[] = [];
    for (let run = 0; run <= runs; run++) {
      const promptIds = benchPrompt(run, promptTokens, model.info.spec.vocabSize);
      await drain(session, { promptIds, maxTokens: 0, stopIds: [] });
      const result = await drain(session, { promptIds, maxTokens: genTokens, stopIds: [] });
      if (run > 0) results.push(result);
      emit(`${gpuBudget ?? 'resident'}: run ${run} of ${runs}, ${result.stats.decodeTps.toFixed(1)} tok/s`);
    }
    const mean = (of: (stats: GenerateResult['stats']) => number) => results.reduce((sum, { stats }) => sum + of(stats), 0) / results.length;
    return {
      decodeTps: results.map(({ stats }) => stats.decodeTps),
      missedBytes: mean(({ expertBytes, generatedTokens }) => expertBytes / generatedTokens),
      missedExperts: mean(({ expertMisses, generatedTokens }) => expertMisses / generatedTokens),
      submits: mean(({ submitsPerToken }) => submitsPerToken),
      readbacks: mean(({ readbacksPerToken }) => readbacksPerToken),
      dispatches: mean(({ dispatchesPerToken }) => dispatchesPerToken),
      layers: model.info.spec.layers.filter(({ ffn }) => ffn.kind === 'moe').length,
    };
  } finally {
    await model.dispose();
  }
}

/** How long the host waits for four bytes of a GPU that has nothing else to do. */
export async function measureReadBack({ times }: ReadBackJob, environment: Environment): Promise<ReadBackReport> {
  const { device } = await requestGpu(environment.gpu);
  const from = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_SRC });
  const to = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const ms: number[] = [];
  for (let i = 0; i < times; i++) {
    const started = performance.now();
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, 4);
    device.queue.submit([encoder.finish()]);
    await to.mapAsync(GPUMapMode.READ);
    to.unmap();
    ms.push(performance.now() - started);
  }
  device.destroy();
  return { ms };
}

async function drain(session: Session, request: Parameters<Session['generate']>[0]): Promise<GenerateResult> {
  const tokens = session.generate(request);
  for (;;) {
    const next = await tokens.next();
    if (next.done) return next.value;
  }
}

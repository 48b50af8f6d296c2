import type { Emit, Environment } from '../src/job.ts';
import { loadStages } from './load-stages.ts';
import type { LoadJob, LoadReport, StoreName } from './types.ts';

/** Loads once, which fills the store, and then from there. */
export async function measureLoad({ runs, store }: LoadJob, environment: Environment, emit: Emit): Promise<LoadReport> {
  const first = await loadOnce(environment, store);
  emit(`first load: ${first.readyMs.toFixed(0)} ms`);
  const stored = [];
  for (let run = 0; run < runs; run++) {
    stored.push(await loadOnce(environment, store));
    emit(`load from the store: ${stored.at(-1)?.readyMs.toFixed(0)} ms`);
  }
  return {
    firstMs: first.readyMs,
    storedMs: stored.map(({ readyMs }) => readyMs),
    firstTokenMs: stored.map(({ firstTokenMs }) => firstTokenMs),
    fileBytes: first.fileBytes,
    bytesFetched: stored.reduce((sum, { bytesFetched }) => sum + bytesFetched, 0),
    stages: await loadStages(environment, store, emit),
  };
}

async function loadOnce(environment: Environment, store: StoreName): Promise<{ readyMs: number; firstTokenMs: number; fileBytes: number; bytesFetched: number }> {
  const started = performance.now();
  const model = await environment.load({ store });
  try {
    const readyMs = performance.now() - started;
    const tokens = (await model.createSession()).generate({ promptIds: [1], maxTokens: 1, stopIds: [] });
    let next = await tokens.next();
    const firstTokenMs = performance.now() - started;
    while (!next.done) next = await tokens.next();
    return { readyMs, firstTokenMs, fileBytes: model.info.fileBytes, bytesFetched: next.value.stats.bytesFetched };
  } finally {
    await model.dispose();
  }
}

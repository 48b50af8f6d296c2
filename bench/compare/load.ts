import type { ProgressEvent } from '@gatefold/runtime';
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
    const { readyMs = NaN, phases = [] } = stored.at(-1) ?? {};
    emit(`load from the store: ${readyMs.toFixed(0)} ms (${phases.map(({ phase, atMs }) => `${phase} at ${atMs.toFixed(0)}`).join(', ')})`);
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

interface LoadOnce {
  readonly readyMs: number;
  readonly firstTokenMs: number;
  readonly fileBytes: number;
  readonly bytesFetched: number;
  /** When each phase began. */
  readonly phases: readonly { readonly phase: string; readonly atMs: number }[];
}

async function loadOnce(environment: Environment, store: StoreName): Promise<LoadOnce> {
  const started = performance.now();
  const phases: { phase: string; atMs: number }[] = [];
  const onProgress = ({ phase }: ProgressEvent) => {
    if (phases.at(-1)?.phase !== phase) phases.push({ phase, atMs: performance.now() - started });
  };
  const model = await environment.load({ store, onProgress });
  try {
    const readyMs = performance.now() - started;
    const tokens = (await model.createSession()).generate({ promptIds: [1], maxTokens: 1, stopIds: [] });
    let next = await tokens.next();
    const firstTokenMs = performance.now() - started;
    while (!next.done) next = await tokens.next();
    return { readyMs, firstTokenMs, phases, fileBytes: model.info.fileBytes, bytesFetched: next.value.stats.bytesFetched };
  } finally {
    await model.dispose();
  }
}

import { requestGpu } from '../../packages/runtime/src/engine/device.ts';
import { LoadedModel } from '../../packages/runtime/src/engine/loaded-model.ts';
import { specFromGguf } from '../../packages/runtime/src/model/families/index.ts';
import { openModel } from '../../packages/runtime/src/shards/open-model.ts';
import { openStore } from '../../packages/runtime/src/shards/store/open.ts';
import type { Emit, Environment } from '../src/job.ts';
import type { LoadStage, StoreName } from './types.ts';

/** Times what a load from the store consists of, one after the other, in this thread. */
export async function loadStages(environment: Environment, kind: StoreName, emit: Emit): Promise<LoadStage[]> {
  const stages: LoadStage[] = [];
  const stage = async <T>(name: string, run: () => Promise<T>, bytes?: number): Promise<T> => {
    const started = performance.now();
    const result = await run();
    stages.push({ name, ms: performance.now() - started, ...(bytes === undefined ? {} : { bytes }) });
    emit(`${name}: ${stages.at(-1)?.ms.toFixed(0)} ms`);
    return result;
  };
  const store = await openStore(kind);
  const { gguf, loader } = await stage('header', () => openModel(environment.source(), store));
  const { shards } = loader.plan;
  const spec = await specFromGguf(gguf);
  const gpu = await requestGpu(environment.gpu);
  try {
    const model = await stage('memory', () => LoadedModel.allocate(gpu, spec, gguf, {}));
    const session = await stage('compile', async () => {
      await model.prepare(loader);
      return model.createSession();
    });
    const bytes = shards.reduce((sum, { byteLength }) => sum + byteLength, 0);
    await stage('read and hash', () => loader.loadAll(shards, () => {}), bytes);
    const any = new Uint8Array(Math.max(...shards.map(({ byteLength }) => byteLength)));
    const uploadAll = async () => {
      for (const shard of shards) await model.upload(shard, any.subarray(0, shard.byteLength));
      await model.ready();
    };
    await stage('upload', uploadAll, bytes);
    await stage('first token', () => session.generate({ promptIds: [1], maxTokens: 1, stopIds: [] }, {}));
    model.dispose();
  } finally {
    gpu.device.destroy();
  }
  return stages;
}
